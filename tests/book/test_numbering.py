"""Numbers of figures within their chapter, in books of two chapters."""

import re
import subprocess
import sys
from pathlib import Path

EXTENSIONS = Path(__file__).resolve().parents[2] / "book" / "_ext"
CONF = f"""
import sys
sys.path.insert(0, {str(EXTENSIONS)!r})
extensions = ["myst_parser", "numbering"]
html_theme = "basic"
root_doc = "index"
numfig = True
"""
FIGURE = "```{figure} picture.png\nA caption.\n```\n\n"
PAGES = {
    "index": "# Home\n\n```{toctree}\n:numbered:\n07-one\n09-two\nlast\n```\n",
    "07-one": "# One\n\n" + 2 * FIGURE,
    "09-two": "# Two\n\n" + FIGURE,
    "last": "# Last\n\n" + FIGURE,
}


def write(folder: Path) -> Path:
    (folder / "conf.py").write_text(CONF, encoding="utf-8")
    (folder / "picture.png").write_bytes(b"")
    for name, text in PAGES.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return folder


def build(source: Path) -> dict[str, list[str]]:
    """The numbers of each page's figures, as built; pages that were not written are left out."""
    out = source / "html"
    for page in out.glob("*.html"):
        page.write_text("", encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-nqWT", "-b", "html", str(source), str(out)]
    subprocess.run(command, check=True)
    return {
        page.stem: re.findall(r"Fig\. ([\d.]+)", page.read_text(encoding="utf-8"))
        for page in out.glob("*.html")
        if page.stem in PAGES and page.stem != "index" and page.stat().st_size
    }


def test_figures_are_numbered_within_their_chapter(tmp_path):
    numbers = build(write(tmp_path))
    assert numbers == {"07-one": ["7.1", "7.2"], "09-two": ["9.1"], "last": ["3.1"]}


def test_only_what_changed_is_written_again(tmp_path):
    source = write(tmp_path)
    build(source)
    assert build(source) == {}
    (source / "09-two.md").write_text("# Two\n\n" + 2 * FIGURE, encoding="utf-8")
    assert build(source) == {"09-two": ["9.1", "9.2"]}
