"""PDF files that Chromium printed, joined to one: places, links, outline, page numbers, tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pikepdf
from pikepdf import Array, Dictionary, Name, Pdf, String

from pages import BuildError


class Place(NamedTuple):
    """A place in the book: its page, counted from 0, and how far from its left and bottom."""

    page: int
    left: float
    top: float


@dataclass
class Entry:
    """A line of the outline: where it leads, and the lines below it."""

    title: str
    address: str
    anchor: str = ""
    below: list[Entry] = field(default_factory=list)


class Joined:
    """A book that grows by a printed page of the site at a time."""

    def __init__(self) -> None:
        self.pdf = pikepdf.new()
        self.sources: list[Pdf] = []  # open until the book is saved: it reads from them
        self.places: dict[tuple[str, str], Place] = {}
        self.tags = self.pdf.make_indirect(Dictionary(Type=Name.StructTreeRoot, K=Array()))
        self.tag_numbers: list[Any] = []
        self.names: list[tuple[str, Any]] = []

    def add(self, address: str, path: Path) -> None:
        """Append a file.

        Parameters
        ----------
        address : of the HTML that it was printed from, as links in others name it
        """
        source = pikepdf.open(path)
        self.sources.append(source)
        start = len(self.pdf.pages)
        pages = {page.obj.objgen: start + number for number, page in enumerate(source.pages)}
        self.places[address, ""] = Place(start, 0.0, float(source.pages[0].mediabox[3]))
        for name, (page, _, left, top, _) in source.Root.get("/Dests", Dictionary()).items():
            place = Place(pages[page.objgen], float(left), float(top))
            self.places[address, name.removeprefix("/")] = place
        # Several files have an #exercises: links are given their place instead of a name.
        anchors = [_unname(annotation) for annotation in _annotations(source)]
        self.pdf.pages.extend(source.pages)
        for annotation, anchor in zip(_annotations(self.pdf, start), anchors, strict=True):
            if anchor is not None:
                annotation.Dest = self._destination(self.place(address, anchor))
        self._add_tags(self.pdf.copy_foreign(source.Root.StructTreeRoot), start)

    def _add_tags(self, tree: Any, start: int) -> None:
        """Put a file's tags under the book's, with numbers and names that no other file has."""
        shift = len(self.tag_numbers)
        for page in list(self.pdf.pages)[start:]:
            if "/StructParents" in page.obj:
                page.obj.StructParents += shift
        for annotation in _annotations(self.pdf, start):
            if "/StructParent" in annotation:
                annotation.StructParent += shift
        numbers = dict(_pairs(tree.ParentTree, "/Nums"))
        self.tag_numbers += [numbers.get(key) for key in range(int(tree.ParentTreeNextKey))]
        for child in _listed(tree.K):
            child.P = self.tags
            self.tags.K.append(child)
        prefix = f"{len(self.sources)}-"
        for element in _elements(tree.K):
            if "/ID" in element:
                element.ID = String(prefix + str(element.ID))
                self.names.append((str(element.ID), element))
            for attributes in _listed(element.get("/A", Array())):
                if "/Headers" in attributes:
                    cells = [String(prefix + str(cell)) for cell in attributes.Headers]
                    attributes.Headers = Array(cells)

    def place(self, address: str, anchor: str = "") -> Place:
        """Where something is.

        Raises
        ------
        BuildError : there is no such place.
        """
        try:
            return self.places[address, anchor]
        except KeyError:
            raise BuildError(f"A link leads nowhere: {address}#{anchor}") from None

    def _destination(self, place: Place) -> Array:
        page = self.pdf.pages[place.page].obj
        return Array([page, Name.XYZ, place.left, place.top, 0])

    def link(self, folder: str, site: str) -> None:
        """Let links to pages that are in the book lead there, and those to others to the site.

        Parameters
        ----------
        folder, site : the address that the pages were printed from, and the public one
        """
        inside = {address for address, _ in self.places}
        for annotation in _annotations(self.pdf):
            target = str(annotation.get("/A", Dictionary()).get("/URI", ""))
            address, _, anchor = target.partition("#")
            if address in inside:
                del annotation.A
                annotation.Dest = self._destination(self.place(address, anchor))
            elif target.startswith(folder):
                annotation.A.URI = String(site + target.removeprefix(folder))

    def outline(self, entries: Sequence[Entry]) -> None:
        """Give the book its outline."""
        with self.pdf.open_outline() as outline:
            outline.root.extend(self._item(entry) for entry in entries)

    def _item(self, entry: Entry) -> pikepdf.OutlineItem:
        place = self.place(entry.address, entry.anchor)
        item = pikepdf.OutlineItem(entry.title, self._destination(place))
        item.children.extend(self._item(below) for below in entry.below)
        item.is_closed = True
        return item

    def number(self, styles: Mapping[str, str]) -> None:
        """Number the pages for viewers: a PDF style each, and the address from which it counts."""
        labels = Array()
        for style, address in styles.items():
            labels.extend([self.place(address).page, Dictionary(S=Name(f"/{style}"))])
        self.pdf.Root.PageLabels = Dictionary(Nums=labels)

    def save(self, path: Path, title: str, author: str, subject: str) -> None:
        """Write the book."""
        numbers = Array()
        for key, value in enumerate(self.tag_numbers):
            if value is not None:
                numbers.extend([key, value])
        names = Array()
        for name, element in sorted(self.names, key=lambda pair: pair[0]):
            names.extend([String(name), element])
        self.tags.ParentTree = self.pdf.make_indirect(Dictionary(Nums=numbers))
        self.tags.ParentTreeNextKey = len(self.tag_numbers)
        self.tags.IDTree = self.pdf.make_indirect(Dictionary(Names=names))
        root = self.pdf.Root
        root.StructTreeRoot = self.tags
        root.MarkInfo = Dictionary(Marked=True)
        root.Lang = String("en")
        root.PageMode = Name.UseOutlines
        root.ViewerPreferences = Dictionary(DisplayDocTitle=True)
        self.pdf.docinfo = self.pdf.make_indirect(
            Dictionary(Title=title, Author=author, Subject=subject)
        )
        self.pdf.save(
            path,
            object_stream_mode=pikepdf.ObjectStreamMode.generate,
            deterministic_id=True,
        )


def _annotations(pdf: Pdf, start: int = 0) -> Iterator[Any]:
    for page in list(pdf.pages)[start:]:
        yield from page.obj.get("/Annots", Array())


def _unname(annotation: Any) -> str | None:
    """Take the name of the place to which a link of its own page leads; None where it has none."""
    if "/Dest" not in annotation:
        return None
    anchor = str(annotation.Dest).removeprefix("/")
    del annotation.Dest
    return anchor


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Array) else [value]


def _pairs(tree: Any, key: str) -> Iterator[tuple[int, Any]]:
    """The pairs of a number tree."""
    flat = list(tree.get(key, Array()))
    yield from zip(map(int, flat[::2]), flat[1::2], strict=True)
    for kid in tree.get("/Kids", Array()):
        yield from _pairs(kid, key)


def _elements(children: Any) -> Iterator[Any]:
    """Each element of a tree of tags."""
    waiting = _listed(children)
    while waiting:
        element = waiting.pop()
        # What is no element is a number, or refers to marked content or an annotation.
        if isinstance(element, Dictionary) and "/S" in element:
            yield element
            waiting += _listed(element.get("/K", Array()))
