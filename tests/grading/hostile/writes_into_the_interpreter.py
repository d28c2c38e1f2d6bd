# Writes .pth files where the next Python to start would run them, and opens modules and the
# interpreter itself for writing.
# gains: nothing
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import contextlib
import site
import sys
import sysconfig
from pathlib import Path

folders = {
    *site.getsitepackages(),
    site.getusersitepackages(),
    sysconfig.get_path("stdlib"),
    sys.prefix,
}
for folder in folders:
    with contextlib.suppress(OSError):
        path = Path(folder, "@MARKER@.pth")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# a line that does nothing\n")
        if str(Path.home()) not in folder:
            print("reached @MARKER@:", path)
# What could be opened for writing could be changed; that much is proof enough.
for path in (np.__file__, torch.__file__, contextlib.__file__, sys.executable, "/etc/passwd"):
    with contextlib.suppress(OSError), open(path, "ab"):
        print("reached @MARKER@:", path)
