"""The glossary's terms: their table, the cards at first uses, and the index."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from bs4 import BeautifulSoup, Tag

ROOT = Path(__file__).resolve().parents[2]
BOOK, EXTENSIONS = ROOT / "book", ROOT / "book" / "_ext"
sys.path.insert(0, str(EXTENSIONS))

import terms  # noqa: E402

TERMS = re.compile(r"^(?=\S)(.+)\n(?=  )", re.MULTILINE)
LINK = re.compile(r"\{term\}`(?:[^`<]*<)?([^`<>]+)>?`")
# Persian has its own yeh and kaf; an Arabic keyboard writes others, which look alike.
PERSIAN = set("ءآأؤئابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی") | set("\u200c ،–-")
HEBREW = {chr(code) for code in range(ord("א"), ord("ת") + 1)} | set("׳״ ,–-")

CONF = f"""
import sys
sys.path.insert(0, {str(EXTENSIONS)!r})
extensions = ["myst_parser", "terms"]
myst_enable_extensions = ["colon_fence", "dollarmath", "fieldlist"]
html_theme = "basic"
root_doc = "index"
"""
GLOSSARY = """# Glossary

:::{glossary}
alpha
  The first of all, $a$; see {term}`gamma`.

beta
  The second.

gamma
  The third.
:::

```{term-translations}
```
"""
TABLE = '[alpha]\nfa = "الف"\nhe = "אלף"\n\n[beta]\n\n[gamma]\nhe = "גמל"\n'
PAGES = {
    "index": "# Home\n\n```{toctree}\n01-one\n02-two\n03-plain\nglossary\nterms\n```\n",
    "01-one": """# 1 · One and {term}`alpha`

:Needs: {term}`alpha`

```{figure} picture.png
A caption with {term}`alpha`.
```

[A link of {term}`alpha`](https://example.org), [another of {term}`beta`](02-two.md).

Prose of {term}`BETA` and {term}`the first <alpha>`, and {term}`alpha` again.

- A list with {term}`beta`.
""",
    "02-two": "# 2 · Two\n\n(here)=\nNamed prose of {term}`alpha`.\n",
    "03-plain": "# 3 · Plain\n\nNo word is linked.\n",
    "glossary": GLOSSARY,
    "terms": "# Index\n\n```{term-index}\n```\n",
}


def glossary() -> dict[str, str]:
    """The terms of the book's glossary and their definitions, from its source."""
    text = (BOOK / "glossary.md").read_text(encoding="utf-8")
    [body] = re.findall(r"^:::\{glossary\}\n(.*?)^:::$", text, re.MULTILINE | re.DOTALL)
    names = TERMS.findall(body)
    parts = TERMS.split(body)[2::2]
    return dict(zip(names, (" ".join(part.split()) for part in parts), strict=True))


def translations() -> dict[str, dict[str, str]]:
    return tomllib.loads((BOOK / terms.TABLE).read_text(encoding="utf-8"))


def write(folder: Path, table: str = TABLE) -> Path:
    """A small book's sources."""
    source = folder / "source"
    source.mkdir(parents=True)
    (source / "conf.py").write_text(CONF, encoding="utf-8")
    (source / "terms.toml").write_text(table, encoding="utf-8")
    (source / "picture.png").write_bytes(b"")
    for name, text in PAGES.items():
        (source / f"{name}.md").write_text(text, encoding="utf-8")
    return source


def build(source: Path, jobs: int = 1) -> dict[str, BeautifulSoup]:
    """The pages of a small book, as built; a warning is an error."""
    out = source.parent / "html"
    command = [sys.executable, "-m", "sphinx", "-nqWT", "-j", str(jobs), "-b", "html"]
    done = subprocess.run([*command, str(source), str(out)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return {path.stem: parsed(path) for path in out.glob("*.html")}


def parsed(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> dict[str, BeautifulSoup]:
    return build(write(tmp_path_factory.mktemp("small")))


def first(page: BeautifulSoup) -> list[str]:
    return [link.get_text() for link in page.select(f".{terms.FIRST}")]


def card(page: BeautifulSoup, name: str) -> Tag:
    [found] = page.select(f".term-cards[hidden] > #card-term-{name}")
    return found


def entry(page: BeautifulSoup, name: str) -> list[tuple[str, str]]:
    """The chapters that the index names beside a term, with the addresses of its uses."""
    [term] = [dt for dt in page.select("dl.term-index dt") if dt.get_text() == name]
    return [(link.get_text(), link["href"]) for link in term.find_next_sibling("dd").select("a")]


# The sources


def test_glossary_is_in_the_order_of_the_alphabet():
    names = [name.lower() for name in glossary()]
    assert names == sorted(set(names))


def test_every_definition_is_a_sentence():
    assert [name for name, text in glossary().items() if not text.endswith(".")] == []


def test_every_link_to_a_term_finds_it_and_every_term_is_linked_in_a_chapter():
    linked = {
        " ".join(target.lower().split())
        for path in BOOK.glob("[0-9][0-9]-*.md")
        for target in LINK.findall(path.read_text(encoding="utf-8"))
    }
    assert linked == {name.lower() for name in glossary()}


def test_every_term_has_its_row_of_translations_and_every_row_its_term():
    terms.check(translations(), glossary())


@pytest.mark.parametrize(("code", "letters"), [("fa", PERSIAN), ("he", HEBREW)])
def test_translations_keep_to_their_language_s_letters(code, letters):
    words = {name: row[code] for name, row in translations().items() if code in row}
    assert len(words) > 150
    for name, word in words.items():
        # What is left in Latin letters stands so in the English term.
        latin = re.findall(r"[A-Za-z][A-Za-z–-]*", word)
        assert all(part in name for part in latin), (name, word)
        own = re.sub("|".join(latin) or "$", "", word)
        assert own.strip(), name
        assert set(own) <= letters, (name, word)
        assert word == word.strip()
        # A joiner that is none stands between two letters.
        assert not re.search(r"\u200c(?!\w)|(?<!\w)\u200c", word), (name, word)


def test_table_that_lacks_a_term_or_has_them_in_another_order_is_refused():
    with pytest.raises(ValueError, match="beta"):
        terms.check({"alpha": {}}, ["alpha", "beta"])
    with pytest.raises(ValueError, match="delta"):
        terms.check({"alpha": {}, "delta": {}}, ["alpha"])
    with pytest.raises(ValueError, match="in order"):
        terms.check({"beta": {}, "alpha": {}}, ["alpha", "beta"])
    with pytest.raises(ValueError, match=r"alpha: fa, he only, got \['ar'\]"):
        terms.check({"alpha": {"ar": "ا"}}, ["alpha"])


# A small book


def test_first_use_in_prose_is_marked_and_no_other(small):
    # Not those of heading, field, caption and links, which come before; nor a second one.
    assert first(small["01-one"]) == ["BETA", "the first"]
    assert first(small["02-two"]) == ["alpha"]
    assert first(small["glossary"]) == []


def test_page_holds_the_definition_of_each_term_it_uses_and_no_other(small):
    ids = [found["id"] for found in small["01-one"].select(".term-cards > div")]
    assert ids == ["card-term-alpha", "card-term-beta"]
    alpha = card(small["01-one"], "alpha")
    assert alpha.p.get_text() == r"The first of all, \(a\); see gamma."
    assert alpha.select_one("span.math")
    # Its one link leads to the glossary.
    assert [link["href"] for link in alpha.select("a")] == ["glossary.html#term-alpha"]


def test_scripts_are_loaded_where_there_are_cards_only(small):
    for name, page in small.items():
        loaded = [script["src"].split("?")[0] for script in page.select("script[src]")]
        wanted = [f"_static/{script}" for script in terms.SCRIPTS]
        assert [src for src in wanted if src in loaded] == (
            wanted if name in ("01-one", "02-two") else []
        )
    assert all((BOOK / "static" / script).suffix == ".js" for script in terms.SCRIPTS)


def test_index_leads_to_the_paragraph_of_each_first_use(small):
    assert entry(small["terms"], "alpha") == [
        ("1 · One and alpha", "01-one.html#use-01-one-beta"),
        ("2 · Two", "02-two.html#here"),
    ]
    assert entry(small["terms"], "beta") == [("1 · One and alpha", "01-one.html#use-01-one-beta")]
    assert entry(small["terms"], "gamma") == []
    paragraph = small["01-one"].find(id="use-01-one-beta")
    assert paragraph.name == "p"
    assert paragraph.get_text().startswith("Prose of BETA")
    # A paragraph that has a name keeps it, and gets no other.
    assert not small["02-two"].find(id=re.compile("^use-"))


def test_index_names_letters_that_have_terms_only(small):
    letters = [link["href"] for link in small["terms"].select(".term-letters a")]
    assert letters == ["#letter-a", "#letter-b", "#letter-g"]
    for letter in letters:
        assert small["terms"].select(f"section{letter} dt")


def test_translations_say_their_language_and_direction(small):
    head, *rows = small["glossary"].select("table.term-translations tr")
    assert [cell.get_text() for cell in head.find_all("th")] == ["English", "فارسی", "עברית"]
    cells = [[cell.get_text(strip=True) for cell in row.find_all("td")] for row in rows]
    assert cells == [["alpha", "الف", "אלף"], ["beta", "", ""], ["gamma", "", "גמל"]]
    for row in [head, *rows]:
        foreign = row.find_all(["td", "th"])[1:]
        assert [(cell["lang"], cell["dir"]) for cell in foreign] == [("fa", "rtl"), ("he", "rtl")]
    assert rows[0].a["href"] == "#term-alpha"


def test_pages_are_the_same_when_two_processes_read_and_write_them(small, tmp_path):
    assert len(PAGES) > 5  # fewer are not shared out
    shared = build(write(tmp_path), jobs=2)
    assert {name: str(page) for name, page in shared.items()} == {
        name: str(page) for name, page in small.items()
    }


def test_what_changes_reaches_cards_and_index_of_pages_that_did_not(tmp_path):
    source = write(tmp_path)
    build(source)
    changed = GLOSSARY.replace("The second.", "The one after it.")
    (source / "glossary.md").write_text(changed, encoding="utf-8")
    (source / "02-two.md").write_text("# 2 · Two\n\nOf {term}`gamma`.\n", encoding="utf-8")
    pages = build(source)
    assert card(pages["01-one"], "beta").p.get_text() == "The one after it."
    assert [name for name, _ in entry(pages["terms"], "alpha")] == ["1 · One and alpha"]
    assert [name for name, _ in entry(pages["terms"], "gamma")] == ["2 · Two"]
    (source / "02-two.md").unlink()
    (source / "index.md").write_text(PAGES["index"].replace("02-two\n", ""), encoding="utf-8")
    assert entry(build(source)["terms"], "gamma") == []


def test_where_nothing_changed_nothing_is_written(tmp_path):
    source = write(tmp_path)
    build(source)
    for page in (tmp_path / "html").glob("*.html"):
        page.write_text("not written", encoding="utf-8")
    assert {str(page) for page in build(source).values()} == {"not written"}


def test_glossary_whose_table_lacks_a_term_fails_the_build(tmp_path):
    source = write(tmp_path, table='[alpha]\nfa = "الف"\n\n[gamma]\n')
    with pytest.raises(RuntimeError, match=r"does not have the glossary's terms in order: .'beta'"):
        build(source)


# The book


@pytest.mark.book
def test_every_first_link_of_a_chapter_has_its_card(built):
    link = rf'href="glossary\.html#(term-[^"]+)"><span class="[^"]*\b{terms.FIRST}\b'
    for path in BOOK.glob("[0-9][0-9]-*.md"):
        # Not parsed: these pages are large.
        page = (built / f"{path.stem}.html").read_text(encoding="utf-8")
        links = re.findall(link, page)
        cards = re.findall(r'<div id="card-(term-[^"]+)">', page)
        assert len(links) == len(set(links)) > 0
        assert sorted(links) == sorted(cards)


@pytest.mark.book
def test_index_has_every_term_and_a_chapter_for_each(built):
    page = parsed(built / "term-index.html")
    entries = page.select("dl.term-index dt")
    assert [name.get_text() for name in entries] == list(glossary())
    assert [name.get_text() for name in entries if not name.find_next_sibling("dd").a] == []


@pytest.mark.book
def test_letters_of_the_glossary_lead_to_the_first_term_with_each(built):
    page = parsed(built / "glossary.html")
    letters = page.select(".term-letters a")
    assert [it.get_text() for it in letters] == sorted({name[0].upper() for name in glossary()})
    for letter in letters:
        name = page.find(id=letter["href"][1:]).get_text().strip(" #")
        assert name == next(it for it in glossary() if it[0].upper() == letter.get_text())
