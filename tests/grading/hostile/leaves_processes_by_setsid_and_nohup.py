# Starts programs in sessions and groups of their own, by the shell, by nohup, by subprocess, by
# posix_spawn and by multiprocessing.
# gains: nothing
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import contextlib
import multiprocessing
import os
import subprocess
import sys
import time

run = "import time; time.sleep(120)  # @MARKER@"
for start in (
    lambda: subprocess.Popen([sys.executable, "-c", run], start_new_session=True),
    lambda: subprocess.Popen(["nohup", "setsid", "sh", "-c", "sleep 120 # @MARKER@"]),
    lambda: os.system(
        "(exec -a @MARKER@ sleep 120 &) ; (trap '' HUP TERM; sleep 119 # @MARKER@) &"
    ),
    lambda: os.posix_spawn("/bin/sleep", ["@MARKER@", "120"], {"MARK": "@MARKER@"}),
    lambda: multiprocessing.get_context("fork").Process(target=time.sleep, args=(120,)).start(),
    lambda: multiprocessing.get_context("spawn").Process(target=time.sleep, args=(120,)).start(),
):
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        start()


# %% [after q01-total]
# !nohup sleep 118 > /dev/null 2>&1 & disown
# %system setsid sleep 117 &
