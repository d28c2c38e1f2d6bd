"""The notebooks that Colab opens: a page's cells without outputs, its MyST as plain Markdown.

A notebook shows no directives and no roles, so boxes become quotations, references become the
numbers that the page prints, and a directive or role that has no form here stops the build.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import yaml
from docutils.nodes import make_id
from nbformat import NotebookNode
from pybtex.database import BibliographyData

import citations
from addresses import Addresses
from course import practised_in
from nlp_course.grading.student_cells import needs_torch, set_up_source, wheel_address
from notebook_cells import exported
from pages import ROOT, BuildError, outputs, read_notebook

FENCE = re.compile(r"(?P<fence>`{3,}|~{3,}|:{3,})(?:\{(?P<name>[\w:-]+)\})?(?P<rest>.*)")
OPTION = re.compile(r":(?P<key>[\w-]+):(?P<value>.*)")
ROLE = re.compile(r"\{(?P<name>[\w:.+-]+)\}`(?P<text>[^`]+)`")
TITLED = re.compile(r"(?P<title>.*?)\s*<(?P<target>[^<>]+)>", re.DOTALL)
LINK = re.compile(r"(?P<open>!?\[[^\]]*\])\((?P<target>[^()\s]+)\)")
EMPTY = re.compile(r"<details><summary>(?P<title>[^<]*)</summary>\s*</details>")
TARGET = re.compile(r"^\([\w:-]+\)=\n|^% .*\n", re.MULTILINE)
BOXES = {
    "admonition", "attention", "caution", "danger", "error", "hint", "important", "margin",
    "note", "seealso", "sidebar", "tip", "topic", "warning",
}  # fmt: skip

# A cell whose code is folded: Colab's way to say it, and JupyterLab's.
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}


class Directive(NamedTuple):
    """A MyST directive of a page."""

    name: str
    argument: str
    options: dict[str, str]
    body: str


def write(names: Sequence[str], out: Path, folder: Path) -> None:
    """Write the pages' notebooks.

    Parameters
    ----------
    names : pages
    out : the build folder, which holds the pages' outputs and the numbers of what they refer to
    folder : where the notebooks go; others in it are removed
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.ipynb"):
        old.unlink()
    references = json.loads((out / "references.json").read_text(encoding="utf-8"))
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    bibliography = citations.read()
    for name in names:
        glued = _glued(outputs(name, out / ".jupyter_cache"))
        branch = config["sphinx"]["config"]["course_notebook_branch"]
        page = Page(name, references, glued, bibliography, config["repository"], branch)
        nbformat.write(page.notebook(read_notebook(name)), folder / f"{name}.ipynb")


def _glued(notebook: NotebookNode) -> dict[str, str]:
    values = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            if name:
                [value] = (text for kind, text in output.data.items() if "text/plain" in kind)
                values[name] = ast.literal_eval(value) if value[:1] in ("'", '"') else value
    return values


class Page:
    """One page on its way to a notebook.

    Parameters
    ----------
    name : of the page
    references : by kind, what the built book calls each label: "equation", "figure", "exercise",
        "section"; and "term", where each is defined
    glued : the page's computed values
    bibliography : of the book
    repository : of `_config.yml`: its address and branch
    notebook_branch : the branch from which Colab opens notebooks
    """

    def __init__(
        self,
        name: str,
        references: dict[str, dict[str, str]],
        glued: dict[str, str],
        bibliography: BibliographyData,
        repository: dict[str, str],
        notebook_branch: str = "notebooks",
    ) -> None:
        self.name = name
        self.references = references
        self.glued = glued
        self.bibliography = bibliography
        self.course = Addresses(repository["url"], repository["branch"], notebook_branch)
        self.site = self.course.site
        self.files = f"{self.course.files}{repository['branch']}/book/"
        self.wheel = wheel_address(self.course.repository, notebook_branch)
        self.answering = False

    def notebook(self, source: NotebookNode) -> NotebookNode:
        """The notebook for Colab, from the page's cells."""
        codes = exported(source.cells)
        cells = [nbformat.v4.new_code_cell(set_up_source(self.wheel, torch=needs_torch(codes)))]
        cells[0].metadata = dict(FOLDED)
        for cell, code in zip(source.cells, codes, strict=True):
            is_code = cell.cell_type == "code"
            cells += self._code(cell, code) if is_code else self._text(cell.source)
        # The title first, then the set-up: who opens the notebook sees what it is.
        cells[:2] = cells[1::-1]
        for number, cell in enumerate(cells):
            cell.id = f"cell-{number:03d}"
        metadata = {
            "colab": {"provenance": []},
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
        return nbformat.v4.new_notebook(cells=cells, metadata=metadata)

    def _text(self, source: str) -> list[NotebookNode]:
        continued = "<details><summary>Answer, continued</summary>\n\n" if self.answering else ""
        text = continued + self.markdown(source)
        if self.answering:
            # A cell cannot fold the next one, so what an answer says in each is folded by itself.
            text += "\n\n</details>"
        text = EMPTY.sub(_unfolded, text)
        # A cell for each section, so that Colab folds them.
        parts = re.split(r"\n(?=#{1,3} )", text)
        return [nbformat.v4.new_markdown_cell(part.strip()) for part in parts if part.strip()]

    def _code(self, cell: NotebookNode, source: str) -> list[NotebookNode]:
        if not source.strip():
            return []
        tags = set(cell.metadata.get("tags", []))
        made = nbformat.v4.new_code_cell(source)
        if self.answering:
            made.source = f"# @title Answer (open the cell to read it)\n{source}"
        elif tags & {"hide-input", "hide-cell", "remove-cell", "remove-input"}:
            made.source = f"# @title Run this cell (open it to read the code)\n{source}"
        if made.source != source:
            made.metadata = dict(FOLDED)
        if "raises-exception" in tags:  # so "run all" does not stop there
            made.metadata["tags"] = ["raises-exception"]
        cells = [made]
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        if caption := figure.get("caption"):
            number = self.references["figure"].get(figure.get("name", ""), "")
            label = f"**Figure {number}.** " if number else ""
            text = label + self._inline(" ".join(caption.split()))
            if said := cell.metadata["mystnb"].get("image", {}).get("alt"):
                text += f"\n{_folded('The figure in words', ' '.join(said.split())).rstrip()}"
            cells.append(nbformat.v4.new_markdown_cell(text))
        return cells

    def markdown(self, source: str) -> str:
        """MyST Markdown as plain Markdown."""
        result: list[str] = []
        plain: list[str] = []
        lines = iter(source.splitlines())
        for line in lines:
            opening = FENCE.fullmatch(line)
            if not opening:
                plain.append(line)
                continue
            result.append(self._inline("\n".join(plain)))
            plain = []
            body = _until(opening["fence"], lines, line, self.name)
            if opening["name"]:
                directive = _directive(opening["name"], opening["rest"].strip(), body)
                result.append(self._render(directive))
            else:
                result.append("\n".join([line, *body, opening["fence"]]))
        result.append(self._inline("\n".join(plain)))
        return "\n".join(result)

    def _render(self, it: Directive) -> str:
        if it.name in BOXES:
            title = it.argument or it.name.capitalize()
            if "dropdown" in it.options.get("class", "").split():
                return _folded(self._inline(title), self.markdown(it.body))
            return _quoted(f"**{self._inline(title)}**\n\n{self.markdown(it.body)}")
        if it.name.startswith(("prf:", "proof:")):
            kind = it.name.partition(":")[2].capitalize()
            title = f" ({it.argument})" if it.argument else ""
            return _quoted(f"**{kind}{self._inline(title)}**\n\n{self.markdown(it.body)}")
        forms: dict[str, Callable[[Directive], str]] = {
            "chapter-box": self._box,
            "code": _listing,
            "code-block": _listing,
            "div": lambda it: self.markdown(it.body),
            "dropdown": lambda it: _folded(it.argument, self.markdown(it.body)),
            "epigraph": lambda it: _quoted(self.markdown(it.body)),
            "exercise": self._exercise,
            "figure": self._figure,
            "image": self._figure,
            "math": self._math,
            "solution": lambda it: _folded("Answer", self.markdown(it.body)),
            "solution-end": self._end_answer,
            "solution-start": self._begin_answer,
        }
        if it.name not in forms:
            raise BuildError(
                f"book/{self.name}.md: the directive {it.name!r} has no notebook form."
            )
        return forms[it.name](it)

    def _box(self, it: Directive) -> str:
        rows = [
            f"- **To read** {it.options['minutes']} minutes; the page with its outputs is "
            f"[here]({self.site}{self.name}.html)",
            "- **To run** begin with the set-up cell below, then go on from top to bottom",
            f"- **Needs** {self._inline(it.options['needs'])}",
        ]
        if assignments := it.options.get("assignment"):
            rows.append(f"- **Practised in** {practised_in(assignments, self.course)}")
        return "\n".join(rows)

    def _figure(self, it: Directive) -> str:
        address = f"{self.files}{it.argument}"
        caption = self.markdown(it.body)
        number = self.references["figure"].get(it.options.get("name", ""))
        label = f"**Figure {number}.** " if number else ""
        return f"![{it.options['alt']}]({address})\n\n{label}{caption}"

    def _math(self, it: Directive) -> str:
        number = self.references["equation"].get(it.options.get("label", ""))
        tag = f"\n\\tag{{{number}}}" if number else ""
        return f"$$\n{it.body.strip()}{tag}\n$$"

    def _exercise(self, it: Directive) -> str:
        number = self.references["exercise"][it.options["label"]]
        title = f" · {it.argument}" if it.argument else ""
        return f"### Exercise {number}{title}\n\n{self.markdown(it.body)}"

    def _begin_answer(self, it: Directive) -> str:
        self.answering = True
        number = self.references["exercise"][it.argument]
        body = self.markdown(it.body)
        return f"\n<details><summary>Answer to exercise {number}</summary>\n\n{body}"

    def _end_answer(self, _it: Directive) -> str:
        self.answering = False
        return "\n</details>\n"

    def _inline(self, text: str) -> str:
        text = TARGET.sub("", text + "\n").removesuffix("\n")
        return LINK.sub(self._link, ROLE.sub(self._role, text))

    def _link(self, link: re.Match[str]) -> str:
        target = link["target"]
        if target.startswith("#"):
            target = f"{self.site}{self.name}.html{target}"
        elif re.match(r"[\w-]+\.md", target):
            page, mark, heading = target.partition("#")
            # MyST knows a heading by its words, a page by an id of plain letters.
            target = f"{self.site}{page.removesuffix('.md')}.html{mark}{make_id(heading)}"
        elif target.startswith("static/"):
            target = f"{self.files}{target}"
        return f"{link['open']}({target})"

    def _role(self, role: re.Match[str]) -> str:
        name, text = role["name"], role["text"]
        titled = TITLED.fullmatch(text)
        title, target = (titled["title"], titled["target"]) if titled else (None, text)
        if name == "term":
            # A term's name may go on over lines.
            place = self._reference("term", " ".join(target.lower().split()))
            return f"[{title or target}]({self.site}{place})"
        if name.startswith("py:"):
            shown = target[1:].rpartition(".")[2] if target[0] == "~" else target
            return f"`{title or shown}`"
        if name.startswith("cite"):
            return self._citation(name, [key.strip() for key in text.split(",")])
        if name in ("glue:text", "glue"):
            return self._value(text)
        if name == "eq":
            return f"({self._reference('equation', target)})"
        if name == "numref":
            number = self._reference("figure", target)
            return title.replace("%s", number) if title else f"Figure {number}"
        if name == "ref":
            return title or self._reference("any", target)
        if name == "doc":
            return f"[{title or target}]({self.site}{target}.html)"
        if name in ("math", "code", "kbd"):
            return f"${text}$" if name == "math" else f"`{text}`"
        raise BuildError(f"book/{self.name}.md: the role {name!r} has no notebook form.")

    def _reference(self, kind: str, label: str) -> str:
        if kind != "any":
            found = self.references[kind].get(label)
        else:
            found = self.references["section"].get(label)
            found = found and f"“{found}”"
            for other in ("exercise", "figure"):
                if label in self.references[other]:
                    found = f"{other.capitalize()} {self.references[other][label]}"
        if found is None:
            raise BuildError(f"book/{self.name}.md refers to {label!r}, which the book lacks.")
        return found

    def _value(self, text: str) -> str:
        name, _, form = text.partition(":")
        if name not in self.glued:
            raise BuildError(f"book/{self.name}.md prints {name!r}, which none of its cells glues.")
        value = self.glued[name]
        return format(float(value), form) if form else value

    def _citation(self, role: str, keys: Sequence[str]) -> str:
        texts = []
        for key in keys:
            entry = self.bibliography.entries[key]
            address = f"{self.site}bibliography.html#{citations.anchor(key)}"
            texts.append(
                f"{citations.names(entry)} [{entry.fields['year']}]({address})"
                if role == "cite:t"
                else f"[{citations.label(entry)}]({address})"
            )
        return "; ".join(texts) if role == "cite:t" else f"({'; '.join(texts)})"


def _until(fence: str, lines: Any, opening: str, page: str) -> list[str]:
    body = []
    for line in lines:
        stripped = line.strip()
        if len(stripped) >= len(fence) and set(stripped) == {fence[0]}:
            return body
        body.append(line)
    raise BuildError(f"book/{page}.md: {opening!r} is not closed in its cell.")


def _directive(name: str, argument: str, lines: list[str]) -> Directive:
    options = {}
    while lines and (option := OPTION.fullmatch(lines[0].strip())):
        options[option["key"]] = option["value"].strip()
        lines = lines[1:]
    return Directive(name, argument, options, "\n".join(lines).strip("\n"))


def _quoted(text: str) -> str:
    return "\n" + "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines()) + "\n"


def _folded(title: str, text: str) -> str:
    # Within a summary Markdown is not read: links of its words would be seen as brackets.
    title = LINK.sub(lambda link: link["open"].removeprefix("!")[1:-1], title)
    return f"\n<details><summary>{title}</summary>\n\n{text}\n\n</details>\n"


def _unfolded(empty: re.Match[str]) -> str:
    """Nothing to fold: the title of an answer that begins with code, or no more than its end."""
    title = empty["title"]
    return "" if title.endswith("continued") else f"#### {title}"


def _listing(it: Directive) -> str:
    return f"```{it.argument}\n{it.body}\n```"
