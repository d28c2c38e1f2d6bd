"""The collector rests inside, and afterwards is as it was."""

from __future__ import annotations

import gc

import pytest

from nlp_course import subword
from nlp_course.collector import collector_paused
from nlp_course.data.dataset import Split


@pytest.mark.parametrize("running", [True, False])
def test_it_rests_inside_and_is_as_it_was_after_an_error_too(running: bool):
    inside = []

    @collector_paused()
    def fails():
        inside.append(gc.isenabled())
        raise OSError("the disk is gone")

    (gc.enable if running else gc.disable)()
    try:
        with pytest.raises(OSError, match="gone"):
            fails()
        assert gc.isenabled() == running
    finally:
        gc.enable()
    assert inside == [False]


def test_it_rests_where_words_by_the_million_are_made():
    seen = []

    def texts():
        seen.append(gc.isenabled())
        yield "a text"

    def words():
        seen.append(gc.isenabled())
        return [["a", "text"]]

    subword.BPE.train(texts(), 257)
    assert Split("all", sentences=words).sentences == Split("all", records=words).records
    assert seen == [False, False, False]
    assert gc.isenabled()


def test_reading_and_learning_leave_no_cycle_behind():
    gc.collect()
    with collector_paused():
        sentences = Split("all", text=lambda: "A dog barks. A cat sleeps.\n" * 1000).sentences
        subword.BPE.train([" ".join(words) for words in sentences], 300)
        assert gc.collect() < 100
