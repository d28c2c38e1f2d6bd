"""The cells that students' notebooks have: set-up, self-check, hand-in."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import types
import venv
import zipfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import pytest
import yaml
from IPython.core.interactiveshell import InteractiveShell
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from nbgrader.utils import is_solution

import nlp_course
from nlp_course import handing_in
from nlp_course.grading import student_cells
from nlp_course.grading.course import Course
from nlp_course.grading.execute import SourceCell, job_cells
from nlp_course.grading.notebooks import answer_cells, grade_id
from nlp_course.grading.rebuild import rebuild
from nlp_course.grading.receipts import digest
from nlp_course.grading.release import release
from tests.grading.conftest import NAME, write_course

pytestmark = pytest.mark.assignments

ROOT = Path(__file__).parents[2]
RELEASED = sorted((ROOT / "assignments").glob("*/*.ipynb"))
every_release = pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
with_solutions = pytest.mark.skipif(
    not (ROOT / "solutions").is_dir(), reason="this copy of the course holds no solutions"
)
WHEEL = student_cells.read_address(ROOT)
STUB = 'raise NotImplementedError("Write your answer here, then run the tests below.")'


def cells(notebook: Path | NotebookNode) -> dict[str, NotebookNode]:
    read = nbformat.read(notebook, as_version=4) if isinstance(notebook, Path) else notebook
    return {cell.id: cell for cell in read.cells}


# --- the set-up cell


def test_set_up_is_short_and_says_where_the_package_comes_from():
    source = student_cells.set_up_source(WHEEL, torch=False)
    assert source.startswith("# @title Set-up: run this cell first\n")
    assert source.count("https://") == 1
    assert len(source.splitlines()) < 60
    settings = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    repository = settings["repository"]["url"]
    assert f'"{repository}/raw/notebooks/wheel/nlp_course-{nlp_course.__version__}-' in source


@every_release
def test_every_assignment_begins_with_the_set_up_cell_and_knows_whether_it_needs_torch(path: Path):
    code = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    uses_torch = any(
        re.search(r"^ *(import|from) torch\b", c.source, re.MULTILINE) for c in code[1:]
    )
    assert code[0].source == student_cells.set_up_source(WHEEL, torch=uses_torch)
    assert code[0].metadata.cellView == "form"
    assert code[1].id == "setup"
    assert not re.search(r"https://github\.com/(?!.*/raw/)", code[1].source)


def test_a_fork_changes_the_address_in_one_place(tmp_path: Path):
    """Of assignments here; of chapters' notebooks in tests/book/test_notebooks.py."""
    root = write_course(tmp_path)
    settings = yaml.safe_load((root / "_config.yml").read_text("utf-8"))
    settings["repository"]["url"] = "https://github.com/fork/of-it"
    settings["sphinx"]["config"]["course_notebook_branch"] = "public"
    (root / "_config.yml").write_text(yaml.safe_dump(settings))
    source = cells(release(Course(root), NAME) / f"{NAME}.ipynb")["install"].source
    assert '"https://github.com/fork/of-it/raw/public/wheel/nlp_course-' in source


def test_a_course_without_its_settings_is_told_what_is_missing(tmp_path: Path):
    root = write_course(tmp_path)
    (root / "_config.yml").unlink()
    with pytest.raises(student_cells.GradingError, match=r"_config\.yml is not there; it says"):
        release(Course(root), NAME)


def run_set_up(torch: bool = False) -> dict[str, object]:
    names: dict[str, object] = {"__name__": "__main__"}
    exec(student_cells.set_up_source(WHEEL, torch=torch), names)
    return names


def test_set_up_leaves_no_name_and_prints_one_line(capsys, monkeypatch):
    monkeypatch.delenv("NLP_COURSE_GRADING", raising=False)
    assert set(run_set_up()) == {"__name__", "__builtins__"}
    version = re.escape(nlp_course.__version__)
    line = rf"Ready in \d+ s: nlp_course {version}, NumPy [\d.]+(, PyTorch [\d.]+)?\n"
    assert re.fullmatch(line, capsys.readouterr().out)


def test_set_up_imports_torch_only_where_it_is_needed(capsys, monkeypatch):
    monkeypatch.delenv("NLP_COURSE_GRADING", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it raises
    run_set_up()
    with pytest.raises(ImportError):
        run_set_up(torch=True)


def test_set_up_says_where_torch_runs(capsys, monkeypatch):
    monkeypatch.delenv("NLP_COURSE_GRADING", raising=False)
    torch = pytest.importorskip("torch", reason="torch is not installed")
    run_set_up(torch=True)
    assert f"PyTorch {torch.__version__.partition('+')[0]} on " in capsys.readouterr().out


def test_set_up_does_nothing_while_grading(capsys, monkeypatch):
    monkeypatch.setenv("NLP_COURSE_GRADING", "1")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("installs"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: pytest.fail("looks"))
    run_set_up(torch=True)
    assert capsys.readouterr().out == ""


def test_set_up_tells_an_older_package_from_the_notebooks_and_goes_on(capsys, monkeypatch):
    monkeypatch.delenv("NLP_COURSE_GRADING", raising=False)
    source = student_cells.set_up_source(WHEEL, torch=False)
    monkeypatch.setattr(nlp_course, "__version__", "0.0.9")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("installs"))
    exec(source, {})
    said = capsys.readouterr().out
    assert said.startswith("Ready")
    assert re.search(r"This notebook is of nlp_course .*run  %pip install \".*restart", said)
    monkeypatch.setattr(nlp_course, "__version__", "99.10")
    exec(source, {})
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_set_up_says_that_torch_is_needed_and_missing(capsys, monkeypatch):
    import importlib.metadata

    monkeypatch.delenv("NLP_COURSE_GRADING", raising=False)
    whole = importlib.metadata.distributions
    monkeypatch.setattr(
        importlib.metadata,
        "distributions",
        lambda name: () if name == "torch" else whole(name=name),
    )
    run_set_up(torch=True)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("Ready")
    assert "PyTorch" not in first
    assert re.search(r'needs PyTorch.*%pip install "nlp-course\[torch\] @ https://', second)
    run_set_up(torch=False)
    assert len(capsys.readouterr().out.splitlines()) == 1


def wheel(folder: Path, name: str, version: str, *needs: str, code: str = "") -> None:
    """A package of one file."""
    about = f"{name}-{version}.dist-info"
    required = "".join(f"Requires-Dist: {need}\n" for need in needs)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}/__init__.py", code or f'__version__ = "{version}"\n')
        file.writestr(
            f"{about}/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}\n",
        )
        tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        file.writestr(f"{about}/WHEEL", tag)
        names = (*file.namelist(), f"{about}/RECORD")
        file.writestr(f"{about}/RECORD", "".join(f"{name},,\n" for name in names))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a folder of wheels on this machine, and the folder."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_) -> None:
            pass

    folder = tmp_path_factory.mktemp("index")
    for version in ("0.9.0", "2.1.3"):
        wheel(folder, "numpy", version)
    for branch, need in (("good", "numpy>=1"), ("bad", "numpy<1")):
        (folder / branch).mkdir()
        wheel(folder / branch, "nlp_course", nlp_course.__version__, need)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Python with pip and packaging."""
    folder = tmp_path_factory.mktemp("machine")
    venv.create(folder, with_pip=False)
    for name in ("pip", "packaging"):
        (site(folder) / name).symlink_to(Path(sysconfig.get_path("purelib")) / name)
    return folder


def site(machine: Path) -> Path:
    (found,) = machine.glob("lib/python*/site-packages")
    return found


def set_up_on(machine: Path, address: str, folder: Path, branch: str) -> str:
    """What the set-up cell says where NumPy 2.1.3 is, and the package comes from this branch."""
    for old in (*site(machine).glob("nlp_course*"), *site(machine).glob("numpy*")):
        shutil.rmtree(old)
    zipfile.ZipFile(folder / "numpy-2.1.3-py3-none-any.whl").extractall(site(machine))
    source = student_cells.set_up_source(WHEEL, torch=False)
    source = re.sub(r'"https://.*/(nlp_course-)', rf'"{address}/{branch}/\1', source)
    known = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": os.devnull}
    for name in ("NLP_COURSE_GRADING", "PYTHONPATH", "VIRTUAL_ENV"):
        known.pop(name, None)
    done = subprocess.run(
        [machine / "bin" / "python", "-c", source],
        cwd=machine,
        env={**known, **offline},
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def test_set_up_installs_the_package_and_leaves_numpy(machine: Path, index: tuple[str, Path]):
    said = set_up_on(machine, *index, "good")
    assert re.fullmatch(
        rf"Ready in \d+ s: nlp_course {nlp_course.__version__}, NumPy 2.1.3\n", said
    )


def test_set_up_fails_rather_than_change_numpy(machine: Path, index: tuple[str, Path]):
    """The package asks for numpy<1, which the index has: only the pin keeps what is here."""
    said = set_up_on(machine, *index, "bad")
    assert re.search(r"^ERROR: .*\bnumpy==2\.1\.3\b", said, re.MULTILINE), said
    assert re.search(r"RuntimeError: .*network\? Then.*Restart.*this address: http://127", said)
    assert said.count("Traceback") == 1  # the cell's own, none of pip's
    assert [path.name for path in site(machine).glob("numpy-*")] == ["numpy-2.1.3.dist-info"]


def test_set_up_shows_what_pip_says_of_a_wrong_address(machine: Path, index: tuple[str, Path]):
    said = set_up_on(machine, *index, "nowhere")
    assert "404" in said
    assert re.search(r"RuntimeError: .*ask your instructor about this address: http\S+whl", said)


# --- the self-check cell


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InteractiveShell]:
    """IPython as a notebook's kernel has it."""
    hook, main = sys.excepthook, sys.modules.get("__main__")
    InteractiveShell.clear_instance()
    place = {"ipython_dir": str(tmp_path_factory.mktemp("ipython"))}
    kernel = InteractiveShell.instance(**place)
    kernel.history_manager.enabled = False
    yield kernel
    kernel.restore_sys_module_state()
    InteractiveShell.clear_instance()
    sys.excepthook, sys.modules["__main__"] = hook, main


@pytest.fixture
def shell(kernel, tmp_path, monkeypatch) -> Iterator[InteractiveShell]:
    """The same, in a new session and an empty folder."""
    monkeypatch.delenv("NLP_COURSE_GRADING", raising=False)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.chdir(tmp_path)
    before = dict(kernel.user_ns)
    kernel.history_manager.input_hist_raw[:] = [""]
    yield kernel
    kernel.user_ns.clear()
    kernel.user_ns.update(before)


Run = Callable[..., str]


@pytest.fixture
def run(shell: InteractiveShell) -> Run:
    """Runs cells; what they print."""

    def run(*sources: str) -> str:
        with redirect_stdout(io.StringIO()) as said:
            for source in sources:
                shell.run_cell(source, store_history=True)
        return said.getvalue()

    return run


def check(*rows: tuple) -> str:
    with redirect_stdout(io.StringIO()) as said:
        handing_in.self_check(*rows)
    return said.getvalue()


def state(said: str, question: str) -> str:
    (line,) = (line for line in said.splitlines() if line.startswith(f"{question} "))
    return re.sub(r" {2,}", "|", line.strip())


ONE, TWO = "assert one() == 1, 'it is 1'", "assert two() == 2, 'it is 2'\n"
ROW = ("q01-one", 2, 5, 0, handing_in.fingerprint(ONE))
OTHER = ("q02-two", 3, 4, 0, handing_in.fingerprint(TWO))
HAND = ("q03-why", 0, 0, 16, "")


def test_each_state_of_a_question(run: Run):
    run("def one():\n    return 1", ONE, "def two():\n    return 3", TWO)
    said = check(ROW, OTHER, HAND)
    assert state(said, "q01-one") == "q01-one|passed|2 of 2|5"
    assert state(said, "q02-two") == "q02-two|failed|0 of 3|4"
    assert "\n    it is 2\n" in said
    assert state(said, "q03-why") == "q03-why|marked by hand|16"
    wanted = (
        "The visible tests give 2 of 5 points. Hidden tests decide another 9 after you hand in; "
        "16 are marked by hand."
    )
    assert wanted in " ".join(said.split())


def test_columns_stand_below_one_another(run: Run):
    run("def one():\n    return 1", ONE)
    table = check(ROW, OTHER, HAND).splitlines()[:4]
    ends = [[m.end() for m in re.finditer(r"\S+(?: \S+)*", line)][2:] for line in table]
    head, first, second, third = ends
    assert first == second == head[:2]
    assert third == head[2:]


def test_a_test_that_did_not_run_or_was_edited_is_said_not_to_have_run(run: Run):
    run("def one():\n    return 1", "def two():\n    return 2", TWO.replace("== 2", "== 1 + 1"))
    said = check(ROW, OTHER)
    assert state(said, "q01-one") == "q01-one|not run|0 of 2|5"
    assert state(said, "q02-two") == "q02-two|not run|0 of 3|4"
    assert "or were edited: q01-one, q02-two." in " ".join(said.split())


def test_an_answer_still_to_be_written_is_called_so_and_other_gaps_are_failures(run: Run):
    run(f"def one():\n    {STUB}", ONE, "def two():\n    raise NotImplementedError('aten')", TWO)
    said = check(ROW, OTHER)
    assert state(said, "q01-one") == "q01-one|no answer yet|0 of 2|5"
    assert state(said, "q02-two") == "q02-two|failed|0 of 3|4"
    assert "NotImplementedError: aten" in said
    assert "edited" not in said


def test_it_looks_at_the_newest_answer(run: Run):
    run("def one():\n    return 0", ONE, "def one():\n    return 1")
    assert "passed" in check(ROW)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("def one():\n    return missing", "NameError: name 'missing' is not defined"),
        ("def one():\n    raise SystemExit(3)", "SystemExit: 3"),
        ("def one():\n    assert False", "AssertionError: "),
        ("", "NameError: name 'one' is not defined"),
    ],
)
def test_whatever_an_answer_raises_is_said_in_one_line(run: Run, answer: str, said: str):
    run(answer, ONE)
    shown = check(ROW, HAND)
    assert state(shown, "q01-one") == "q01-one|failed|0 of 2|5"
    assert f"    {said}".rstrip() in shown
    assert "Traceback" not in shown
    assert "q03-why" in shown


def test_prints_inside_tests_are_kept_quiet_and_no_name_is_changed(run: Run, shell):
    talk = "print('loud'); display('loud'); loss = 7; assert one() == 1"
    run("def one():\n    print('loud')\n    return 1", talk, "loss = 1")
    said = check(("q01-one", 2, 5, 0, handing_in.fingerprint(talk)))
    assert "loud" not in said
    assert "passed" in said
    assert shell.user_ns["loss"] == 1


@pytest.mark.parametrize(
    ("points", "shown"),
    [
        ("2", "passed|2 of 2"),
        ("1.5", "failed|1.5 of 2"),
        ("-1", "failed|0 of 2"),
        ("float('nan')", "failed|0 of 2"),
        ("9", "passed|2 of 2"),
        ("True", "passed|2 of 2"),
        ("'words'", "passed|2 of 2"),
    ],
)
def test_a_test_may_give_points_in_part_as_while_grading(run: Run, points: str, shown: str):
    run(points)
    said = check(("q01-one", 2, 5, 0, handing_in.fingerprint(points)))
    assert state(said, "q01-one") == f"q01-one|{shown}|5"


def test_stop_ends_it_with_what_it_has(run: Run):
    run("def one():\n    return 1", ONE, "def two():\n    raise KeyboardInterrupt", TWO)
    said = check(ROW, OTHER, HAND)
    assert "passed" in said
    assert "q03-why" not in said
    assert "Stopped" in said
    assert "give 2 of 5 points" in said


def test_blanks_around_a_test_do_not_matter():
    assert handing_in.fingerprint("\na = 1  \nb = 2\n\n") == handing_in.fingerprint("a = 1\nb = 2")
    assert handing_in.fingerprint("a = 1\n b = 2") != handing_in.fingerprint("a = 1\nb = 2")


def test_both_cells_do_nothing_while_grading(monkeypatch, capsys):
    monkeypatch.setenv("NLP_COURSE_GRADING", "1")
    monkeypatch.setattr(handing_in, "get_ipython", lambda: pytest.fail("runs"))
    handing_in.self_check(ROW)
    handing_in.hand_in("01-x", {"q01-one": "0"})
    assert capsys.readouterr().out == ""


def test_outside_of_a_notebook_both_say_where_they_belong(monkeypatch):
    monkeypatch.delenv("NLP_COURSE_GRADING", raising=False)
    monkeypatch.setattr(handing_in, "get_ipython", lambda: None)
    with pytest.raises(RuntimeError, match="cell of a notebook"):
        handing_in.self_check(ROW)
    with pytest.raises(RuntimeError, match="cell of a notebook"):
        handing_in.hand_in("01-x", {})


def rows(path: Path) -> list[handing_in.Row]:
    """The table in an assignment's self-check cell."""
    tree = ast.parse(cells(path)["self-check"].source)
    call = tree.body[-1].value
    return [handing_in.Row(*ast.literal_eval(argument)) for argument in call.args]


@every_release
def test_the_table_is_the_assignments(path: Path):
    """Its points are the release's, each test that it names is there, and nothing else is."""
    released = nbformat.read(path, 4)
    table = rows(path)
    graded = {
        grade_id(cell): cell.metadata.nbgrader.points
        for cell in released.cells
        if cell.metadata.get("nbgrader", {}).get("grade")
    }
    assert sum(row.seen + row.hidden + row.by_hand for row in table) == sum(graded.values()) == 100
    assert [row.question for row in table] == list(answer_cells(released))
    for row in table:
        found = cells(path).get(f"{row.question}-tests")
        if row.test:
            assert row.test == handing_in.fingerprint(found.source)
            assert row.seen == found.metadata.nbgrader.points
            assert row.hidden == graded[f"{row.question}-hidden"]
        else:
            assert found is None
            assert row.by_hand == graded[row.question]


def test_a_test_of_which_a_part_is_hidden_counts_among_the_hidden(tmp_path: Path, run: Run):
    path = release(Course(write_course(tmp_path)), NAME) / f"{NAME}.ipynb"
    seen = handing_in.fingerprint("assert mean([1, 3]) == 2")
    assert rows(path) == [
        ("q01-total", 1, 2, 0, handing_in.fingerprint(cells(path)["q01-total-tests"].source)),
        ("q02-mean", 0, 3, 0, seen),
        ("q03-derivation", 0, 0, 4, ""),
    ]
    run("def mean(numbers):\n    return 2", cells(path)["q02-mean-tests"].source)
    assert state(check(*rows(path)), "q02-mean") == "q02-mean|passed|3"


PRAISE = re.compile(
    r"\b(correct|all right|full marks|done|congratul|perfect|everything|complete|success|ready)",
    re.IGNORECASE,
)


@with_solutions
@pytest.mark.slow
@every_release
def test_with_everything_right_it_does_not_say_so_while_hidden_tests_remain(path: Path, run: Run):
    pytest.importorskip("torch", reason="torch is not installed")
    right = cells(ROOT / "solutions" / path.parent.name / path.name)
    for name, cell in cells(path).items():
        if cell.cell_type == "code" and name not in ("install", "self-check", "hand-in"):
            run(right[name].source if is_solution(cell) else cell.source)
    said = run(cells(path)["self-check"].source)
    for row in rows(path):
        shown = f"passed|{row.seen} of {row.seen}|{row.hidden}"
        shown = shown if row.test else f"marked by hand|{row.by_hand}"
        assert state(said, row.question) == f"{row.question}|{shown}", said
    sums = {
        key: sum(getattr(row, key) for row in rows(path)) for key in ("seen", "hidden", "by_hand")
    }
    assert said.endswith("by hand.\n")
    assert " ".join(said.split()).endswith(
        f"The visible tests give {sums['seen']} of {sums['seen']} points. Hidden tests decide "
        f"another {sums['hidden']} after you hand in; {sums['by_hand']} are marked by hand."
    )
    assert not PRAISE.search(said), said


@with_solutions
@every_release
def test_no_cell_that_students_run_takes_the_name_of_an_answer(path: Path):
    """Tests run again at the end, when all cells have run."""
    notebook = nbformat.read(path, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    theirs = {
        node.name
        for cell in code
        if is_solution(cell)
        for node in ast.parse(cell.source).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    assert theirs
    for cell in code:
        if not is_solution(cell):
            taken = (
                theirs & set(compile(cell.source, cell.id, "exec").co_names) & bound(cell.source)
            )
            assert not taken, f"{cell.id} gives {taken} another meaning"


def bound(source: str) -> set[str]:
    """Names that a cell binds for all others."""
    found, waiting = set(), list(ast.parse(source).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name):
            found |= {node.id} if isinstance(node.ctx, ast.Store) else set()
        elif not isinstance(
            node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
        ):
            waiting += ast.iter_child_nodes(node)
    return found


# --- the hand-in cell


@pytest.fixture(scope="module")
def given() -> NotebookNode:
    return nbformat.read(next(path for path in RELEASED if path.stem == "00-setup"), 4)


@pytest.fixture
def notebook(given: NotebookNode) -> NotebookNode:
    """A student's: the first answer is written, the others are not."""
    notebook = nbformat.from_dict(json.loads(json.dumps(given)))
    first = next(cell for cell in notebook.cells if cell.id == "q01-row-means")
    first.source = "def row_means(vectors):\n    return vectors.mean(axis=1)"
    last = notebook.cells[-1]
    last.outputs = [nbformat.v4.new_output("stream", text="an output ö\n")]
    return notebook


def hand_in(given: NotebookNode) -> str:
    source = next(cell.source for cell in given.cells if cell.id == "hand-in")
    with redirect_stdout(io.StringIO()) as said:
        exec(source, {})
    return said.getvalue()


@pytest.fixture
def colab(monkeypatch) -> Callable[[object], list[str]]:
    """Colab's own module, in which the notebook on the screen is the one given."""

    def pretend(answer: object) -> list[str]:
        downloaded: list[str] = []

        def blocking_request(kind: str, request: str = "", timeout_sec: float | None = 5) -> object:
            assert kind == "get_ipynb"
            assert timeout_sec
            if isinstance(answer, Exception):
                raise answer
            return answer

        google, module = types.ModuleType("google"), types.ModuleType("google.colab")
        google.colab = module
        module._message = types.SimpleNamespace(blocking_request=blocking_request)
        module.files = types.SimpleNamespace(download=downloaded.append)
        monkeypatch.setitem(sys.modules, "google", google)
        monkeypatch.setitem(sys.modules, "google.colab", module)
        return downloaded

    return pretend


def test_in_colab_it_downloads_what_is_on_the_screen(shell, colab, notebook, given, tmp_path):
    downloaded = colab({"ipynb": notebook})
    said = hand_in(given)
    assert downloaded == ["hand-in/00-setup.ipynb"]
    data = (tmp_path / "hand-in" / "00-setup.ipynb").read_bytes()
    assert json.loads(data) == notebook  # its outputs too
    assert f"00-setup.ipynb: {len(data) / 1000:.0f} kB, SHA-256 {digest(data)[:12]}…" in said
    assert "1 of 5 questions are answered; without an answer: q02-" in said
    assert "downloads it now" in said
    assert "saved at" not in said
    handed = rebuild(data, given)
    assert handed.repairs == ()
    assert cells(handed.notebook)["q01-row-means"].source.endswith("mean(axis=1)")


@pytest.mark.parametrize("answer", [None, {}, RuntimeError("the screen is closed")])
def test_where_colab_does_not_answer_it_says_what_to_do(shell, colab, given, tmp_path, answer):
    assert colab(answer) == []
    said = hand_in(given)
    assert "File > Download > Download .ipynb" in said
    assert ("the screen is closed" in said) == isinstance(answer, Exception)
    assert not (tmp_path / "hand-in").exists()


def test_a_huge_notebook_goes_without_its_outputs(shell, colab, notebook, given, monkeypatch):
    monkeypatch.setattr(handing_in, "MOST_BYTES", 1000)
    colab({"ipynb": notebook})
    assert "its outputs are left out" in hand_in(given)
    kept = nbformat.read("hand-in/00-setup.ipynb", 4)
    assert not any(cell.get("outputs") for cell in kept.cells)
    assert [cell.source for cell in kept.cells] == [cell.source for cell in notebook.cells]


def save(notebook: NotebookNode, folder: Path) -> Path:
    path = folder / "Copy of 00 (1).ipynb"
    nbformat.write(notebook, path)
    os.utime(path, (1_790_000_000, 1_790_000_000))
    return path


@pytest.mark.parametrize("place", ["Jupyter", "VS Code"])
def test_elsewhere_it_copies_the_saved_file_byte_for_byte(
    shell, notebook, given, tmp_path, monkeypatch, place
):
    path = save(notebook, tmp_path)
    if place == "Jupyter":
        monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    else:
        shell.user_ns["__vsc_ipynb_file__"] = str(path)
    said = hand_in(given)
    data = (tmp_path / "hand-in" / "00-setup.ipynb").read_bytes()
    assert data == path.read_bytes()
    assert f"SHA-256 {hashlib.sha256(data).hexdigest()[:12]}…" in said
    assert "save first (Ctrl+S, on a Mac Cmd+S)." in " ".join(said.split())
    assert re.search(r"as it was saved at \d\d:\d\d:\d\d on 21 September; it is now", said)
    assert "NOT SAVED" not in said
    assert str(tmp_path / "hand-in") in said


def test_an_answer_that_ran_and_is_not_in_the_file_is_named(
    shell, run, notebook, given, tmp_path, monkeypatch
):
    path = save(notebook, tmp_path)
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    newer = "def row_means(vectors):\n    return vectors.sum(axis=1) / vectors.shape[1]"
    run(cells(notebook)["q01-row-means"].source)
    assert "NOT SAVED" not in hand_in(given)
    run(newer)
    assert "NOT SAVED: q01-row-means." in hand_in(given)
    cells(notebook)["q01-row-means"].source = newer
    save(notebook, tmp_path)
    assert "NOT SAVED" not in hand_in(given)


def test_an_answer_in_an_added_cell_is_in_the_file(shell, run, notebook, given, monkeypatch):
    mine = "def row_means(vectors):\n    return 0"
    notebook.cells.insert(5, new_code_cell(mine))
    monkeypatch.setenv("JPY_SESSION_NAME", str(save(notebook, Path.cwd())))
    run(mine)
    assert "NOT SAVED" not in hand_in(given)


@pytest.mark.parametrize("text", [None, "", "[]", '{"cells": []}', '{"cells": 3}'])
def test_another_notebooks_name_is_not_taken(shell, given, monkeypatch, tmp_path, text):
    path = tmp_path / "other.ipynb"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    said = hand_in(given)
    assert said == handing_in.STEPS.format(name="00-setup") + "\n"


def test_a_notebook_whose_labels_are_lost_is_handed_in_all_the_same(shell, colab, notebook, given):
    for cell in notebook.cells:
        cell.metadata.pop("nbgrader", None)
        del cell["id"]
    assert colab({"ipynb": notebook}) == []
    said = hand_in(given)
    assert "are answered" not in said
    assert "SHA-256" in said


def test_cells_that_keep_no_more_than_their_ids_are_known(shell, colab, notebook, given):
    for cell in notebook.cells:
        cell.metadata = {"id": cell.pop("id")}  # as Colab keeps them
    colab({"ipynb": notebook})
    assert "1 of 5 questions are answered" in hand_in(given)


# --- while grading


@every_release
def test_the_grader_knows_these_cells_for_the_courses_own(path: Path):
    """Run on both sides as set-up is, marked with nothing, and restored where they were edited."""
    given = nbformat.read(path, 4)
    added = [cells(path)[name] for name in ("install", "self-check", "hand-in")]
    for cell in added:
        marks = cell.metadata.nbgrader
        assert (marks.locked, marks.grade, marks.solution) == (True, False, False)
    sources = {
        grade_id(cell): SourceCell(cell.source, cell.metadata.nbgrader.locked, None)
        for cell in given.cells
        if grade_id(cell)
    }
    kinds = {cell.grade_id: cell.kind for cell in job_cells(given, sources, lambda _: 0)}
    assert {kinds[cell.id] for cell in added} == {"setup"}
    for cell in given.cells:
        if cell.id in ("install", "self-check", "hand-in"):
            cell.source = "student_seed = 1"
        elif is_solution(cell):
            cell.source += "\n"
    handed = rebuild(nbformat.writes(given).encode(), nbformat.read(path, 4))
    assert [cells(handed.notebook)[cell.id].source for cell in added] == [c.source for c in added]
    assert set(handed.repairs) == {
        f"{name} was edited, and is restored" for name in ("install", "self-check", "hand-in")
    }


def test_while_grading_the_cells_need_nothing_and_leave_one_name(monkeypatch, capsys):
    monkeypatch.setenv("NLP_COURSE_GRADING", "1")
    for path in RELEASED:
        names: dict[str, object] = {}
        for name in ("install", "self-check", "hand-in"):
            exec(cells(path)[name].source, names)
        assert set(names) == {"__builtins__", "nlp_course"}
    assert capsys.readouterr().out == ""
