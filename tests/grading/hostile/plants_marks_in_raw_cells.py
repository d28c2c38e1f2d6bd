# Hands in a file with raw cells, which pages show as HTML, that hold the ids and classes by which
# the formgrader's script finds marks and buttons, and that lie over the page; as cells' ids, too.
# gains: nothing
# stock: runs
# keeps: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")
# fmt: off

# %% [file 91-trust.ipynb]
{
  "cells": [
    {"cell_type": "raw", "id": "full-credit", "metadata": {"tags": ["full-credit"]},
     "source": "<a class='full-credit tabbable' href='https://hostile.invalid/a'>x</a>"},
    {"cell_type": "raw", "id": "score", "metadata": {"raw_mimetype": "text/html"},
     "source": ["<div class='panel panel-primary nbgrader_cell'><span id='q01-total-tests'></span>\n",
                "<span id='q01-total-hidden'></span><span id='q03-ranks-tests'></span>\n",
                "<i class='score'></i><i class='full-credit modal-backdrop fade'>x</i><i id='q09-why'></i>\n",
                "<button class='full-credit'>Full credit</button></div>"]},
    {"cell_type": "raw", "id": "notebook", "metadata": {"raw_mimetype": "text/markdown"},
     "source": "# q04-softmax-tests\n\n<style>body { display: none }</style>"},
    {"cell_type": "raw", "id": "q01-total-tests_extra_credit", "metadata": {"format": "text/html"},
     "attachments": {"a.svg": {"image/svg+xml": "<b class=full-credit>x</b>"}},
     "source": "<div id='q01-total-comment' class='comment' style='position: fixed; inset: 0'>x</div>"},
    {"cell_type": "markdown", "id": "q01-total-comment", "metadata": {"tags": ["x\" id=\"q01-total-tests"]},
     "source": "x"},
    {"cell_type": "code", "id": "q02-mean", "execution_count": 1,
     "metadata": {"tags": ["full-credit", "modal-backdrop"],
                  "nbgrader": {"grade_id": "q02-mean", "grade": false, "solution": true,
                               "locked": false, "task": false, "schema_version": 3}},
     "outputs": [{"output_type": "display_data", "metadata": {},
                  "data": {"text/html": "<b class=full-credit id=q01-total-tests>x</b>"}}],
     "source": "def mean(numbers):\n    return sum(numbers) / len(numbers) if numbers else None"}
  ],
  "metadata": {"title": "<b class=full-credit>x</b>", "widgets": {"x": {}},
               "language_info": {"name": "x", "pygments_lexer": "x\" class=\"full-credit"}},
  "nbformat": 4,
  "nbformat_minor": 5
}
