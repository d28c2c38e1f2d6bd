"""Files as they arrive after editors, browsers, mail and version control had them.

Each takes a good notebook as plain data, of the assignment that `conftest.py` writes, and gives
the bytes that are handed in. `SAME` must be graded as the good one is; `REVIEW` must go to a
person.
"""

from __future__ import annotations

import copy
import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable
from typing import Any

Notebook = dict[str, Any]
Damage = Callable[[Notebook], bytes]
SAME: dict[str, Damage] = {}
REVIEW: dict[str, Damage] = {}
NAMES: dict[str, str] = {}  # of the file, where it is not the assignment's


def same(build: Damage) -> Damage:
    SAME[build.__name__] = build
    return build


def review(build: Damage) -> Damage:
    REVIEW[build.__name__] = build
    return build


def named(name: str) -> Callable[[Damage], Damage]:
    def add(build: Damage) -> Damage:
        NAMES[build.__name__] = name
        return build

    return add


def dump(notebook: object, **options: Any) -> bytes:
    return json.dumps(notebook, indent=1, ensure_ascii=False, **options).encode()


def cell(notebook: Notebook, name: str) -> dict[str, Any]:
    return next(one for one in notebook["cells"] if one["id"] == name)


def at(notebook: Notebook, name: str) -> int:
    return [one["id"] for one in notebook["cells"]].index(name)


def text(one: dict[str, Any]) -> str:
    return "".join(one["source"])


def code(source: str, **more: Any) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {},
        "outputs": [],
        "source": source,
        **more,
    }


# Bytes ------------------------------------------------------------------------------------------


@same
def with_a_byte_order_mark(good):
    """Notepad saved it."""
    return b"\xef\xbb\xbf" + dump(good)


@same
def as_utf_16(good):
    """PowerShell redirected it."""
    return dump(good).decode().encode("utf-16")


@same
def as_utf_16_without_a_mark(good):
    """A script wrote UTF-16 and no mark."""
    return dump(good).decode().encode("utf-16-le")


@same
def as_utf_32(good):
    """Wider than anybody needs."""
    return dump(good).decode().encode("utf-32")


@same
def as_windows_1252(good):
    """An old editor saved é and “ in its own encoding, and ? for → which that has not."""
    return dump(good).decode().encode("cp1252", errors="replace")


@same
def compressed(good):
    """A browser kept the transfer's gzip."""
    return gzip.compress(dump(good), mtime=0)


@same
def padded_with_nulls(good):
    """A disk wrote whole blocks."""
    return dump(good) + b"\x00" * 4096


@same
def with_windows_line_ends(good):
    """Git on Windows turned the ends of lines, of the file and in it."""
    for one in good["cells"]:
        one["source"] = text(one).replace("\n", "\r\n")
    return dump(good).replace(b"\n", b"\r\n")


@same
def with_garbage_behind_it(good):
    """Something was appended."""
    return dump(good) + b"\n-- \nSent from my phone\n"


@same
def written_twice(good):
    """The same notebook, one behind the other."""
    return dump(good) + b"\n" + dump(good)


@review
def two_versions_in_one_file(good):
    """Two notebooks that differ, one behind the other."""
    first = dump(good)
    cell(good, "q01-total")["source"] = "def total(numbers):\n    return 0"
    return first + dump(good)


@review
def cut_in_the_middle(good):
    """The download broke off in the second answer."""
    data = dump(good)
    return data[: data.index(b"len(numbers)")]


@same
def cut_behind_the_last_cell(good):
    """The download broke off in the notebook's own metadata."""
    data = dump(good)
    return data[: data.rindex(b"]") + 3]


@review
def cut_in_the_first_cell(good):
    """Hardly anything arrived."""
    return dump(good)[:60]


@review
def an_empty_file(good):
    """Nothing arrived."""
    return b""


@review
def only_nulls(good):
    """The disk was full."""
    return b"\x00" * 1000


@review
def a_merge_left_unfinished(good):
    """Git's conflict marks stand in it."""
    data = dump(good).decode()
    line = next(line for line in data.splitlines() if "sum(numbers)" in line)
    marked = f"<<<<<<< HEAD\n{line}\n=======\n    return 1\n>>>>>>> other\n"
    return data.replace(f"{line}\n", marked, 1).encode()


@review
def nested_too_deep(good):
    """Brackets in brackets in brackets."""
    return b'{"cells": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"


@same
def with_values_json_does_not_have(good):
    """NaN and Infinity in the outputs."""
    output = {"output_type": "display_data", "data": {"application/json": float("nan")}}
    cell(good, "q01-total")["outputs"] = [{**output, "metadata": {"most": float("inf")}}]
    return dump(good)


@same
def with_the_same_key_twice(good):
    """Metadata stand there twice, by a bad merge."""
    return dump(good).replace(b'"nbformat": 4,', b'"nbformat": 4, "nbformat": 4,')


@review
def with_two_texts_for_one_cell(good):
    """A bad merge left the key of an answer twice."""
    data = json.dumps(good)
    mine = json.dumps(cell(good, "q01-total")["source"])
    return data.replace(
        f'"source": {mine}', f'"source": "def total(n): ...", "source": {mine}'
    ).encode()


@same
def with_bare_line_breaks(good):
    """An editor put real line breaks into the strings."""
    for one in good["cells"]:
        one["source"] = text(one)
    written = json.dumps(good, ensure_ascii=False)
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[0], written).encode()


@same
def with_25_mb_of_output(good):
    """A loop printed for an hour."""
    stream = {"output_type": "stream", "name": "stdout", "text": "x" * (25 << 20)}
    cell(good, "q01-total")["outputs"] = [stream]
    return dump(good)


@same
def with_half_a_character_in_a_note(good):
    """A picture sign was cut in two."""
    good["cells"].append({**code("# half"), "cell_type": "markdown", "source": "half: HALF"})
    return dump(good).replace(b"HALF", b"\\ud83d")


# Other things than notebooks --------------------------------------------------------------------


@review
@named("90-sums.html")
def exported_as_html(good):
    """File, Save and Export As, HTML."""
    return b"<!DOCTYPE html>\n<html><body><pre>def total(numbers)</pre></body></html>"


@review
@named("90-sums.py")
def exported_as_a_script(good):
    """File, Save and Export As, Executable Script."""
    cells = [text(one) for one in good["cells"] if one["cell_type"] == "code"]
    return "\n\n".join(f"# In[ ]:\n{one}" for one in cells).encode()


@review
@named("90-sums.py")
def paired_by_jupytext(good):
    """Jupytext's text form."""
    head = "# ---\n# jupyter:\n#   jupytext:\n#     text_representation:\n# ---\n"
    cells = [text(one) for one in good["cells"] if one["cell_type"] == "code"]
    return (head + "".join(f"\n# %%\n{one}\n" for one in cells)).encode()


@review
@named("90-sums.pdf")
def exported_as_pdf(good):
    """Printed."""
    return b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"


@review
@named("link.txt")
def a_link_to_colab(good):
    """The address in place of the notebook."""
    return b"https://colab.research.google.com/drive/1a2b3c?usp=sharing"


@review
def json_of_something_else(good):
    """A settings file."""
    return b'{"editor.fontSize": 14}'


@same
@named("90-sums.ipynb.txt")
def called_txt(good):
    """A browser did not know the type."""
    return dump(good)


@same
@named("90-sums.json")
def called_json(good):
    """Another browser did."""
    return dump(good)


@same
@named("Copy of 90-sums (2).ipynb")
def called_copy_of(good):
    """Drive and a browser each gave it a name."""
    return dump(good)


@same
def a_zip_called_ipynb(good):
    """Zipped, and renamed to be accepted."""
    return zipped({"work/90-sums.ipynb": dump(good)})


@same
@named("homework.zip")
def zipped_with_a_mac(good):
    """With the files that macOS adds."""
    return zipped(
        {
            "homework/90-sums.ipynb": dump(good),
            "__MACOSX/homework/._90-sums.ipynb": b"\x00\x05\x16\x07",
            "homework/.ipynb_checkpoints/90-sums-checkpoint.ipynb": b"{}",
        }
    )


@review
@named("homework.zip")
def a_zip_in_a_zip(good):
    """Zipped twice."""
    return zipped({"inner.zip": zipped({"90-sums.ipynb": dump(good)})})


@review
@named("homework.zip")
def a_damaged_zip(good):
    """Cut off."""
    return zipped({"90-sums.ipynb": dump(good)})[:500]


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 31, 12, 0, 0)), data)
    return stream.getvalue()


# Formats ----------------------------------------------------------------------------------------


@same
def in_format_3(good):
    """IPython's of 2013."""
    cells = []
    for one in good["cells"]:
        old = {"cell_type": one["cell_type"], "metadata": one["metadata"]}
        key = "input" if one["cell_type"] == "code" else "source"
        cells.append({**old, key: text(one), "outputs": [], "language": "python"})
    return dump({"nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": cells}]})


@same
def in_format_4_0(good):
    """Without ids."""
    for one in good["cells"]:
        del one["id"]
    return dump({**good, "nbformat_minor": 0})


@same
def in_a_format_to_come(good):
    """A newer Jupyter's."""
    return dump({**good, "nbformat": 5, "nbformat_minor": 3})


@same
def with_lines_in_lists(good):
    """As nbformat writes it."""
    for one in good["cells"]:
        one["source"] = text(one).splitlines(keepends=True)
    return dump(good)


@same
def with_lines_that_lost_their_ends(good):
    """A script split the lines."""
    for one in good["cells"]:
        one["source"] = text(one).split("\n")
    return dump(good)


@review
def with_null_for_an_answer(good):
    """A script wrote null."""
    cell(good, "q01-total")["source"] = None
    return dump(good)


@review
def with_an_object_for_an_answer(good):
    """A script wrote something else."""
    cell(good, "q01-total")["source"] = {"text": "def total(numbers): ..."}
    return dump(good)


@same
def saved_by_vs_code(good):
    """Another kernel, other metadata, no ids."""
    for one in good["cells"]:
        del one["id"]
        one["metadata"]["vscode"] = {"languageId": "python"}
    good["metadata"] = {"kernelspec": {"name": "venv", "display_name": ".venv"}, "orig_nbformat": 4}
    return dump(good)


@same
def saved_by_kaggle_and_deepnote(good):
    """Each adds its own."""
    for one in good["cells"]:
        one["metadata"] |= {"_uuid": "1", "trusted": True, "deepnote_cell_type": "code"}
    good["metadata"] = {"kaggle": {"accelerator": "none"}, "deepnote": {}}
    return dump(good)


# Labels -----------------------------------------------------------------------------------------


@same
def without_any_metadata(good):
    """An editor dropped all of it."""
    for one in good["cells"]:
        one["metadata"] = {}
    return dump(good)


@same
def without_metadata_and_ids(good):
    """Another dropped the ids as well."""
    for one in good["cells"]:
        one["metadata"] = {}
        del one["id"]
    return dump(good)


@same
def without_the_labels_of_the_answers(good):
    """The answer cells were pasted into new ones."""
    for one in good["cells"]:
        if one["id"] in ("q01-total", "q02-mean", "q03-derivation"):
            one["metadata"], one["id"] = {}, f"new-{one['id'][:3]}"
    return dump(good)


@same
def with_null_for_a_label(good):
    """A script wrote null."""
    cell(good, "q02-mean")["metadata"]["nbgrader"] = None
    return dump(good)


@same
def with_ids_that_are_none(good):
    """Ids are numbers, lists and too long."""
    for number, one in enumerate(good["cells"]):
        one["id"] = [number, [number], "x" * 500][number % 3]
    return dump(good)


@same
def with_all_ids_the_same(good):
    """A script copied them."""
    for one in good["cells"]:
        one["id"] = "cell"
    return dump(good)


@same
def with_forged_points(good):
    """The points were raised, tests made answers, answers tests."""
    for one in good["cells"]:
        marks = one["metadata"].get("nbgrader")
        if marks:
            marks |= {"points": 1000, "solution": not marks["solution"], "grade": True}
            marks["schema_version"] = 99
    return dump(good)


@same
def in_nbgraders_first_schema(good):
    """Made with nbgrader 0.5."""
    for one in good["cells"]:
        marks = one["metadata"].get("nbgrader")
        if marks:
            marks["schema_version"] = 1
            del marks["task"]
    return dump(good)


@same
def with_an_answer_twice(good):
    """Copied and pasted, label and all."""
    good["cells"].append(copy.deepcopy(cell(good, "q01-total")))
    return dump(good)


@review
def with_two_answers_to_one_question(good):
    """Both carry the label."""
    twin = copy.deepcopy(cell(good, "q01-total"))
    twin["source"] = "def total(numbers):\n    return 0"
    good["cells"].insert(3, twin)
    return dump(good)


@review
def with_two_answers_and_no_label(good):
    """Both define the function."""
    mine = cell(good, "q01-total")
    mine["metadata"], mine["id"] = {}, "a"
    good["cells"].append(code("def total(numbers):\n    return 0", id="b"))
    return dump(good)


@review
def with_two_answers_in_one_cell(good):
    """Both functions, in a cell without a label."""
    both = text(cell(good, "q01-total")) + "\n\n" + text(cell(good, "q02-mean"))
    for name in ("q01-total", "q02-mean"):
        del good["cells"][at(good, name)]
    good["cells"].append(code(both, id="both"))
    return dump(good)


@same
def with_an_answer_beside_its_own_stub(good):
    """The student worked in a copy; the stub kept the label too."""
    stub = copy.deepcopy(cell(good, "q02-mean"))
    stub["source"] = good["metadata"]["stub"]
    good["cells"].insert(at(good, "q02-mean"), stub)
    return dump(good)


# Cells ------------------------------------------------------------------------------------------


@same
def with_edited_tests(good):
    """The tests were made to pass."""
    cell(good, "q01-total-tests")["source"] = "assert True"
    return dump(good)


@same
def without_tests(good):
    """The tests were deleted."""
    good["cells"] = [one for one in good["cells"] if "tests" not in one["id"]]
    return dump(good)


@same
def in_another_order(good):
    """Answers first, from the last to the first."""
    good["cells"].reverse()
    return dump(good)


@same
def with_an_answer_turned_to_text(good):
    """The cell of an answer was made Markdown."""
    mine = cell(good, "q01-total")
    mine["cell_type"] = "markdown"
    mine["source"] = f"```python\n{text(mine)}\n```"
    return dump(good)


@same
def with_an_answer_turned_raw(good):
    """The cell of an answer was made raw."""
    cell(good, "q02-mean")["cell_type"] = "raw"
    return dump(good)


@same
def with_an_answer_of_no_known_kind(good):
    """The kind of a cell is misspelt."""
    cell(good, "q02-mean")["cell_type"] = "cod"
    return dump(good)


@same
def with_the_tests_merged_into_the_answer(good):
    """Answer and tests selected, Merge Cells."""
    mine = cell(good, "q01-total")
    tests = good["cells"].pop(at(good, "q01-total-tests"))
    mine["source"] = text(mine) + "\n\n" + text(tests)
    return dump(good)


@same
def with_the_answer_merged_into_the_tests(good):
    """The same, and the label of the tests stayed."""
    tests = cell(good, "q01-total-tests")
    mine = good["cells"].pop(at(good, "q01-total"))
    tests["source"] = text(mine) + "\n\n" + text(tests)
    return dump(good)


@same
def with_things_that_are_no_cells(good):
    """Numbers and nothings among the cells."""
    good["cells"][1:1] = [None, 7, "cell"]
    return dump(good)


@same
def with_cells_of_another_course(good):
    """Labels that no cell of this assignment has."""
    marks = {"grade_id": "x-other", "solution": True, "grade": False, "schema_version": 3}
    good["cells"].append(code("other = 1", id="other", metadata={"nbgrader": marks}))
    return dump(good)


@review
def a_notebook_of_another_assignment(good):
    """The wrong file."""
    data = dump(good).replace(b"q01-total", b"x01-a").replace(b"q02-mean", b"x02-b")
    return (
        data.replace(b"q03-", b"x03-")
        .replace(b"def total", b"def a")
        .replace(b"def mean", b"def b")
    )


@review
def a_notebook_without_cells(good):
    """Everything was deleted."""
    return dump({**good, "cells": []})


@review
def an_empty_notebook(good):
    """File, New."""
    return dump({**good, "cells": [code("")]})
