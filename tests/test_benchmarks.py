"""Benchmarks: what rows, records and the table say, and what the committed table is made of."""

from __future__ import annotations

import doctest
import json
import math
import re
import subprocess
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import __main__ as runner  # noqa: E402
from benchmarks import dpo, grading, growth, importing, otter, report, results, subword  # noqa: E402
from benchmarks.results import Curve, Record, Row  # noqa: E402

HERE = ROOT / "benchmarks"


def record(subject: str, date: str, *rows: Row, version: str = "1", curves=()) -> Record:
    about = {"processor": "a", "cores": "2", "memory": "4 GB", "system": "b", "python": "3.11"}
    settings, versions = {"rounds": "3"}, {"numpy": version}
    return Record(subject, date, 1.5, settings, about, versions, {}, list(rows), list(curves))


def curve(law: float = 2.0, why: str = "since each looks at each") -> Curve:
    sizes = [1.0, 2.0, 4.0, 8.0]
    return Curve("looking", "positions", "seconds", sizes, [3 * n**law for n in sizes], law, why)


# Rows


@pytest.mark.parametrize("module", [results, report, importing, growth], ids=lambda m: m.__name__)
def test_examples_in_docstrings_hold(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


@pytest.mark.parametrize(("rate", "ratio"), [(False, 2.0), (True, 0.5)])
def test_a_ratio_above_one_means_that_the_course_is_faster(rate, ratio):
    assert results.compared("work", "peer", [1.0], [2.0], "", rate=rate).ratio == ratio


def test_a_ratio_is_the_median_of_the_rounds_ratios_not_the_ratio_of_medians():
    row = results.compared("work", "peer", [1.0, 10.0, 1.0], [2.0, 10.0, 4.0], "s")
    assert (row.ours, row.theirs, row.ratio, row.rounds) == (1, 4, 2, 3)


@pytest.mark.parametrize("sides", [([], []), ([1.0], [1.0, 2.0])])
def test_rounds_of_one_side_alone_are_refused(sides):
    with pytest.raises(ValueError, match="rounds of ours"):
        results.compared("work", "peer", *sides, "s")


def test_a_goal_is_the_least_ratio_and_without_a_peer_the_largest_figure():
    assert results.compared("work", "peer", [1.0], [2.0], "s", 2.0).reached
    assert not results.compared("work", "peer", [1.0], [2.0], "s", 2.1).reached
    assert results.bounded("work", [0.3], "s", 0.3).reached
    assert not results.bounded("work", [0.31], "s", 0.3).reached
    assert results.compared("work", "peer", [1.0], [2.0], "s").reached is None
    assert results.absent("work", "peer", 2.0).reached is None


def test_no_goal_is_reached_by_other_results():
    row = results.compared("work", "peer", [1.0], [3.0], "s", 2.0, same=False)
    assert row.reached is False
    page = report.page([record("one", "2026-01-01 00:00", row)])
    assert "≥ 2, not reached" in page
    assert "- work, beside peer: the results differ.\n" in page


def test_a_ratio_stands_beside_its_range_over_the_rounds():
    row = results.compared("work", "peer", [1.0, 1.0, 1.0], [3.0, 2.0, 2.5], "s")
    assert row.span == (2.0, 3.0)
    assert "| 2.50 (2.00–3.00) |" in report.table([row])


def test_a_verdict_says_whether_the_goal_is_reached():
    row = results.compared("work", "peer", [2.0], [3.0], "s", 1.6)
    assert results.verdict(row) == "1.50 x; goal at least 1.6 x: not reached"
    assert results.verdict(results.absent("work", "peer", 2.0)) == "peer absent"


# Records


def test_records_come_back_from_json_as_they_were():
    rows = [
        results.bounded("a", [1.0], "s", 0.3, "note"),
        results.absent("b", "peer", 2.0),
        results.compared("c", "peer", [1.0, 1.0], [2.0, 3.0], "s", same=True),
    ]
    written = [record("one", "2026-01-01 00:00", *rows, curves=[curve()])]
    assert results.loads(results.dumps(written)) == written


def test_a_run_writes_its_record_where_it_is_asked_to(tmp_path, capsys, monkeypatch):
    path = tmp_path / "new" / "x.json"
    monkeypatch.setattr(sys, "argv", ["x", "--record", str(path), "--rounds", "2"])
    parser = results.parser("A subject.\n\nMore.")
    parser.add_argument("--rounds", type=int)
    options = parser.parse_args()
    row = results.bounded("work", [1.0], "s", 2.0)
    results.finish("x", options, [row], {"peer": "1.0"})
    assert "work, alone: 1 s; goal at most 2 s: reached" in capsys.readouterr().out
    (found,) = results.loads(path.read_text("utf-8"))
    assert (found.subject, found.settings, found.rows) == ("x", {"rounds": "2"}, [row])
    assert found.machine == results.machine()
    assert found.versions["numpy"] == np.__version__


def test_a_record_names_the_commit_and_whether_code_differs_from_it(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert results.commit() == ""
    code, table = tmp_path / "nlp_course" / "a.py", tmp_path / "benchmarks" / "RESULTS.md"
    for file in (code, table):
        file.parent.mkdir()
        file.write_text("1\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run([*git, *words], check=True)
    clean = results.commit()
    assert re.fullmatch("[0-9a-f]{8,}", clean)
    table.write_text("2\n")
    assert results.commit() == clean, "the table is what is written, not what is measured"
    code.write_text("2\n")
    assert results.commit() == f"{clean}+"


def test_the_table_holds_the_newest_record_of_each_subject():
    old, new = record("one", "2026-01-01 00:00"), record("one", "2026-01-02 00:00")
    other = record("two", "2026-01-01 12:00")
    assert report.together([other, new, old]) == ([new, other], [])


def test_records_of_other_versions_are_not_in_one_table_and_are_named():
    new = record("one", "2026-01-02 00:00", version="2")
    old, stale = record("one", "2026-01-01 00:00"), record("two", "2026-01-01 00:00")
    assert report.together([old, stale, new]) == ([new], [stale])


def test_a_peer_is_found_under_the_folder_that_peers_names(tmp_path, monkeypatch):
    (tmp_path / "GloVe").mkdir()
    monkeypatch.delenv("PEERS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert results.peer_path("GloVe") is None
    monkeypatch.setenv("PEERS", str(tmp_path))
    assert results.peer_path("GloVe") == tmp_path / "GloVe"
    assert results.peer_path("kenlm", "build") is None
    assert results.checked_out("KenLM", "kenlm") == {}


# The table


def test_a_peer_that_is_absent_has_a_row_and_is_told_how_to_get():
    page = report.page([record("one", "2026-01-01 00:00", results.absent("work", "it", 2.0))])
    assert "| work | it |  | peer absent |  | ≥ 2 |  |\n\n`make peers` gets" in page


def test_a_row_says_figures_ratio_goal_and_rounds():
    rows = [
        results.compared("a", "b", [1234.0], [617.0], "words/s", 1.5, rate=True),
        results.bounded("c", [0.4], "s", 0.3),
    ]
    assert report.table(rows).splitlines()[2:] == [
        "| a | b | 1,230 words/s | 617 words/s | 2.00 | ≥ 1.5, reached | 1 |",
        "| c | – | 0.4 s |  |  | ≤ 0.3 s, not reached | 1 |",
    ]


def test_a_page_says_machine_versions_day_settings_and_notes():
    row = results.bounded("work", [1.0], "s", note="the same on both sides")
    page = report.page([record("one", "2026-01-01 00:00", row)])
    for said in ("a, 2 cores, 4 GB", "numpy 1", "2026-01-01 00:00 UTC", "rounds 3"):
        assert said in page
    assert "- work: the same on both sides." in page


def test_only_goals_that_are_not_reached_have_their_reason_in_the_page():
    rows = [
        results.compared("fast", "b", [1.0], [3.0], "s", 2.0, why="never seen"),
        results.compared("slow", "b", [1.0], [1.0], "s", 2.0, why="it waits for the disk"),
        results.compared("slow too", "c", [1.0], [1.0], "s", 2.0, why="it waits for the disk"),
        results.compared("slower", "b", [2.0], [1.0], "s", 2.0),
        results.compared("slowest", "b", [3.0], [1.0], "s", why="there is no goal"),
    ]
    page = report.page([record("one", "2026-01-01 00:00", *rows)])
    said = page.partition("## Goals that are not reached, and why\n\n")[2].partition("\n##")[0]
    assert said.strip().splitlines() == [
        "- slow, beside b; slow too, beside c: it waits for the disk.",
        "- slower, beside b: no reason is known.",
    ]
    reached = report.page([record("one", "2026-01-01 00:00", rows[0])])
    assert "not reached" not in reached


@pytest.mark.parametrize("law", [-1.0, 1.0, 2.0])
def test_the_slope_of_a_power_is_its_exponent(law):
    assert curve(law).slope == pytest.approx(law)


def test_a_plot_is_the_same_each_time_and_says_both_slopes(tmp_path):
    for name in ("one", "two"):
        report.write([record("one", "2026-01-01 00:00", curves=[curve()])], tmp_path / name)
    one, two = ((tmp_path / name / "growth-looking.svg").read_bytes() for name in ("one", "two"))
    assert one == two
    page = (tmp_path / "one" / "RESULTS.md").read_text("utf-8")
    assert "**looking**: slope 2.00, expected 2, since each looks at each." in page
    assert re.search(r"!\[seconds for positions, .*: 3 at 1, 12 at 2, .*\]\(growth-looking", page)


def test_plots_of_curves_that_are_no_more_go(tmp_path):
    (tmp_path / "growth-old.svg").write_text("old")
    report.write([record("one", "2026-01-01 00:00", curves=[curve()])], tmp_path)
    assert [path.name for path in tmp_path.glob("*.svg")] == ["growth-looking.svg"]


def test_the_committed_table_is_what_the_committed_records_give():
    records = results.loads((HERE / "results.json").read_text("utf-8"))
    assert (HERE / "RESULTS.md").read_text("utf-8") == report.page(records)
    assert report.together(records)[1] == []
    plots = {report.plot_name(curve) for record in records for curve in record.curves}
    assert {path.name for path in HERE.glob("growth-*.svg")} == plots


def test_every_subject_is_in_the_committed_table():
    records = results.loads((HERE / "results.json").read_text("utf-8"))
    assert {each.subject for each in records} == set(runner.SUBJECTS)


def test_in_every_committed_row_both_sides_found_the_same():
    records = results.loads((HERE / "results.json").read_text("utf-8"))
    same = [row.same for each in records for row in each.rows]
    assert False not in same
    assert True in same


def test_every_committed_row_below_its_goal_says_why():
    records = results.loads((HERE / "results.json").read_text("utf-8"))
    below = [row for each in records for row in each.rows if row.reached is False]
    assert [row.work for row in below if not row.why] == []


def test_the_page_of_the_book_begins_where_the_table_says():
    assert report.BEGIN in (ROOT / "book" / "benchmarks.md").read_text("utf-8")


# Running


def test_every_subject_has_a_module_and_is_explained():
    modules = {
        path.stem for path in HERE.glob("*.py") if "results.finish(" in path.read_text("utf-8")
    }
    assert modules == set(runner.SUBJECTS)
    about = (HERE / "README.md").read_text("utf-8")
    assert set(re.findall(r"^## `(\w+)`", about, re.MULTILINE)) == modules


def test_a_benchmark_that_fails_stops_no_other(tmp_path, monkeypatch, capfd):
    ran = []

    def run(subject, settings, folder):
        ran.append((subject, list(settings)))
        return subject != "ngram"

    monkeypatch.setattr(runner, "run", run)
    monkeypatch.setattr(runner, "put_together", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--only", "ngram", "subword"])
    with pytest.raises(SystemExit, match="Not measured, for the errors above: ngram"):
        runner.main()
    assert ran == [("ngram", []), ("subword", [])]
    monkeypatch.undo()
    (tmp_path / "nothing.json").write_text("[]", "utf-8")
    assert not runner.run("nothing", [], tmp_path)
    assert not list(tmp_path.iterdir()), "what was measured before is not taken for it"
    assert "No module named benchmarks.nothing" in capfd.readouterr().err


def test_words_after_two_dashes_go_to_the_one_subject_named(monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(runner, "run", lambda subject, words, _: ran.append((subject, words)) or 1)
    monkeypatch.setattr(runner, "put_together", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["x", "--only", "ngram", "--", "--rounds", "9"])
    runner.main()
    assert ran == [("ngram", ["--rounds", "9"])]
    monkeypatch.setattr(sys, "argv", ["x", "--", "--rounds", "9"])
    with pytest.raises(SystemExit):
        runner.main()
    assert "name it with --only" in capsys.readouterr().err


def test_quick_figures_never_reach_the_committed_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    monkeypatch.setattr(report, "HERE", tmp_path / "committed")

    def run(subject, settings, folder):
        assert list(settings) == list(runner.SUBJECTS[subject])
        folder.mkdir(parents=True)
        row = results.bounded("work", [1.0], "s")
        path = folder / f"{subject}.json"
        path.write_text(results.dumps([record(subject, "2026-01-01 00:00", row)]), "utf-8")
        return True

    monkeypatch.setattr(runner, "run", run)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--quick", "--only", "importing"])
    runner.main()
    assert not (tmp_path / "committed").exists()
    assert (tmp_path / "_build" / "bench-quick" / "RESULTS.md").is_file()
    assert "| work | – | 1 s |" in capsys.readouterr().out


def test_records_that_were_committed_stay_until_they_are_measured_again(tmp_path, capsys):
    found, out = tmp_path / "found", tmp_path / "out"
    found.mkdir()
    report.write([record("one", "2026-01-01 00:00"), record("two", "2026-01-01 00:00")], out)
    (found / "one.json").write_text(results.dumps([record("one", "2026-01-02 00:00")]), "utf-8")
    runner.put_together(found, out)
    records = results.loads((out / "results.json").read_text("utf-8"))
    assert {one.subject: one.date for one in records} == {
        "one": "2026-01-02 00:00",
        "two": "2026-01-01 00:00",
    }


def test_without_a_record_nothing_is_written(tmp_path):
    with pytest.raises(SystemExit, match="nothing was measured"):
        runner.put_together(tmp_path, tmp_path)
    assert list(tmp_path.iterdir()) == []


# Subjects


def test_importing_the_package_brings_nothing_heavy_and_takes_less_than_its_goal():
    assert importing.heavy("nlp_course") == []
    assert importing.heavy("numpy") == ["numpy"]
    assert 0 < importing.seconds("nlp_course") < importing.GOAL


def test_dpo_begins_at_log_two_where_policy_and_reference_are_one():
    texts = dpo.pairs(2, 16)
    side = dpo.train_course(texts, 2)
    assert side.losses[0] == pytest.approx(math.log(2), abs=1e-6)
    assert side.losses[1] != side.losses[0]
    assert len(side.seconds) == 2


def test_dpo_texts_end_once_and_are_what_the_tokenizer_reads_back():
    prompts, chosen, rejected = dpo.pairs(1, 4)
    assert len({tuple(row.tolist()) for row in prompts}) == dpo.BATCH
    for answers in (chosen, rejected):
        assert (answers == dpo.STOP).sum() == dpo.BATCH
        for row in answers.tolist():
            assert dpo.tokenizer()(dpo.words(row)).input_ids == row[:-1]


def test_byte_pairs_of_course_library_and_tiktoken_are_the_same():
    lines = ["low lower lowest\n", "newer newest, wider — 42 times\n"] * 3
    _, peer = subword.train_library(lines, 280)
    _, bpe = subword.train_course(lines, 280)
    ours = [ids.tolist() for ids in subword.encode_course(bpe, lines)[1]]
    assert ours == subword.encode_library(peer, lines)[1]
    tiktoken = pytest.importorskip("tiktoken")
    assert ours == subword.encode_tiktoken(subword.as_tiktoken(tiktoken, bpe), lines)[1]


def test_otter_gets_each_test_cell_as_a_case_with_its_points(tmp_path, monkeypatch):
    def cell(name: str, source: str, points: float | None = None):
        marks = {"grade_id": name, "solution": points is None, "grade": points is not None}
        marks |= {"schema_version": 3, "locked": points is not None, "task": False}
        marks |= {} if points is None else {"points": points}
        return new_code_cell(source, metadata={"nbgrader": marks})

    source = new_notebook(
        cells=[
            cell("q01-double", "def double(x):\n    return 2 * x"),
            cell("q01-double-tests", 'assert double(2) == 4, "2 and 2"', 2),
            cell("q01-double-hidden", "assert double(3) == 6", 3),
        ]
    )
    otter.write_tests(source, tmp_path / "tests")
    (path,) = (tmp_path / "tests").iterdir()
    module = types.ModuleType("otter.test_files")
    cases = []
    module.test_case = lambda **about: lambda function: cases.append((about, function))
    monkeypatch.setitem(sys.modules, "otter.test_files", module)
    names: dict[str, object] = {}
    exec(path.read_text("utf-8"), names)
    assert (names["name"], names["points"]) == ("q01-double", [2, 3])
    assert [about["hidden"] for about, _ in cases] == [False, True]
    for _, case in cases:
        case({"double": lambda x: 2 * x})
        with pytest.raises(AssertionError):
            case({"double": lambda x: x * x + 1})
    handed_in = tmp_path / "in" / "notebook.ipynb"
    otter.write_submission(source, ["q01-double-tests", "q01-double-hidden"], handed_in)
    kept = nbformat.read(handed_in, 4).cells
    assert [one.metadata.nbgrader.grade_id for one in kept] == ["q01-double"]
    tests = [{"score": 2, "max_score": 2}, {"score": 0, "max_score": 3}, {"output": "a summary"}]
    (handed_in.parent / "results.json").write_text(json.dumps({"tests": tests}))
    assert otter.marks(handed_in) == 2


def test_a_peers_time_for_a_class_is_that_of_its_first_and_of_the_mean_of_its_others():
    ours = grading.Graded(2.0, 8.0, [5.0, 4.0, 3.0])
    peer = grading.Graded(6.0, 4.0, [5.0, 4.0, 2.0])  # three: 6 s, and 2 s for each other
    row = grading._row(grading.NBGRADER, ours, peer, 8)
    assert (row.ours, row.theirs, row.ratio) == (48, 24, 2)
    assert "grades 3 of them, one at a time" in row.note
    assert "the same marks for 2;" in row.note
    assert row.reached is False, "other marks"
    assert grading._row(grading.OTTER, ours, None, 8).absent


def test_waiting_workers_give_outcomes_in_the_order_of_a_run_before():
    with ThreadPoolExecutor(2) as pool:
        recorder = growth.Recorder(pool)
        for number in range(4):
            recorder.submit(str, number)
        outcomes = [future.result() for future in recorder.futures]
        replay = growth.Replay(pool, outcomes, wait=0.01)
        assert [replay.submit(str, 9).result() for _ in range(4)] == ["0", "1", "2", "3"]
