# Does the same with sys.monitoring, where Python has it, and otherwise with a trace function on
# the frames above.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q05-cosines]
import sys

kept = {}


def look(*arguments):
    frame = sys._getframe(1)
    while frame is not None:
        if "hidden_cosines" in frame.f_globals:
            kept["wanted"] = frame.f_globals["hidden_cosines"]
        frame.f_trace = look
        frame = frame.f_back
    return look


def cosines(queries, keys):
    look()
    return kept["wanted"].clone()


if hasattr(sys, "monitoring"):
    sys.monitoring.use_tool_id(3, "mine")
    sys.monitoring.register_callback(3, sys.monitoring.events.LINE, look)
    sys.monitoring.set_events(3, sys.monitoring.events.LINE)
