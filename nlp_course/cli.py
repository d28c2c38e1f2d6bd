"""The command ``nlp-course``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from nlp_course import data
from nlp_course.grading import commands

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Tools of the course, for a command line.",
)
data_app = typer.Typer(no_args_is_help=True, help="The course's data sets.")
app.add_typer(data_app, name="data")
commands.add_to(app)


@app.callback()
def main() -> None:
    """Tools of the course, for a command line."""


@data_app.command("list")
def list_data() -> None:
    """Every data set: whether it is on this machine, how much it is to download, its title."""
    for name in data.names():
        info = data.info(name)
        state = "here" if data.available(name) else "to download"
        size = f"{info.download_bytes / 1e3:,.0f} kB" if info.download_bytes else ""
        typer.echo(f"{name:<18}{state:<12}{size:>10}  {info.title} ({info.kind})")


@data_app.command("fetch")
def fetch_data(
    names: Annotated[list[str] | None, typer.Argument(help="names, as `list` shows them")] = None,
    everything: Annotated[bool, typer.Option("--all", help="every data set")] = False,
) -> None:
    """Download data sets into the cache, so that they load without a network."""
    if bool(names) == everything:
        raise typer.BadParameter("name data sets, or ask for --all")
    failed = []
    for name in data.names() if everything else names or []:
        try:
            data.fetch(name)
        except data.DataError as error:
            # One set that cannot be had does not keep the others from being fetched.
            typer.echo(str(error), err=True)
            failed.append(name)
        else:
            typer.echo(f"{name}: here")
    if failed:
        typer.echo(f"not fetched: {', '.join(failed)}", err=True)
        raise typer.Exit(code=1)


def run() -> None:
    """Run a command; what the person at the keyboard can put right is said without a traceback."""
    try:
        app()
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package == "nlp_course":  # a fault of ours
            raise
        sys.exit(f'{package} is not installed. Grading needs: pip install "nlp-course[grading]"')
    except Exception as error:
        if type(error).__module__.startswith("nlp_course.grading"):
            sys.exit(f"nlp-course: {error}")
        raise
