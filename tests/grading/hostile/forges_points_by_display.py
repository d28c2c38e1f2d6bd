# Prints and shows what looks like nbgrader's marks, in every form, and then ends the test.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import json

from IPython.display import JSON, display

marks = {"grade_id": "q01-total-hidden", "score": 2, "max_score": 2, "auto_score": 2.0, "points": 2}


def total(numbers):
    print(json.dumps(marks))
    print(2.0)
    get_ipython().display_pub.publish({"text/plain": "2.0"}, {}, transient={})
    display(JSON(marks))
    display({"text/plain": "2"}, raw=True)
    raise SystemExit(0)
