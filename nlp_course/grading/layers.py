"""Ways of keeping a notebook apart, and which of them a machine allows, found by trying."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

from nlp_course.grading import kernel, landlock
from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.processes import become

FIRST_USER = 60_000  # of those that notebooks run as, where the grader is root
# What the warm process needs as root, to start notebooks as users of their own and to look after
# them; a notebook has none of it.
CAPABILITIES = ("SYS_ADMIN", "SETUID", "SETGID", "CHOWN", "KILL", "SYS_PTRACE")
NESTED = """
import os, sys
sys.path.insert(0, sys.argv[1])
import kernel
flags = kernel.CLONE_NEWPID | kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC
kernel.unshare(flags | (kernel.CLONE_NEWUSER if os.geteuid() else 0))
kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
kernel.mount("tmpfs", "/dev/shm", "tmpfs", kernel.MS_NOSUID)
"""


class SandboxError(GradingError):
    """There is no sandbox that would keep its promises here."""


@dataclass(frozen=True)
class Layer:
    """A way of keeping a notebook apart.

    Parameters
    ----------
    bubblewrap : a file system with what a notebook needs, and no network
    namespaces : each notebook has its own processes and temporary files
    landlock : the kernel's rules for files
    users : each notebook runs as a user of its own
    filtered : the kernel refuses system calls that no notebook needs
    """

    name: str
    bubblewrap: bool = False
    namespaces: bool = False
    landlock: bool = False
    users: bool = False
    filtered: bool = True

    def describe(self) -> str:
        """One sentence for a report: what is kept apart by what, and what is not."""
        if not self.filtered:
            return f"{self.name}: notebooks could read, change and send whatever their grader can"
        parts = ["no network, bounded memory, disk and processes (seccomp, limits, a watchdog)"]
        if self.bubblewrap:
            parts.append("a read-only system without your files (bubblewrap)")
        if self.namespaces:
            parts.append("processes and temporary files of its own (namespaces)")
        if self.landlock:
            parts.append("no file but what it needs (Landlock)")
        if self.users:
            parts.append("a user id of its own")
        if self.landlock and not self.bubblewrap:
            parts.append("not hidden: names of files that are guessed, their sizes and dates")
        if self.name == "user":
            parts.append("not hidden: files that every user of this machine may read")
        return f"{self.name}: {'; '.join(parts)}"


NONE = Layer("none", filtered=False)


@dataclass(frozen=True)
class Probe:
    """What this machine allows; paths and versions are empty or 0 where there is none."""

    bubblewrap: str = ""
    nested: bool = False
    landlock: int = 0
    root: bool = False
    users: bool = False
    why_not: str = ""


def probe() -> Probe:
    """Try what this machine allows."""
    if sys.platform != "linux":
        return Probe(why_not=f"this is {sys.platform}, not Linux")
    root = os.geteuid() == 0
    program, why_not = shutil.which("bwrap") or "", "bubblewrap is not installed"
    nested = False
    if program:
        why_not = _refusal(program, "true")
        if why_not:
            program = ""
        else:
            here = os.path.dirname(os.path.abspath(__file__))
            nested = not _refusal(program, sys.executable, "-I", "-c", NESTED, here)
    users = root and _can_change_user()
    return Probe(program, nested, landlock.version(), root, users, why_not)


def best_layer(*, allow_none: bool = False) -> Layer:
    """The best layer that there is.

    Raises
    ------
    SandboxError : there is none, and none was not asked for; or this is not Linux.
    """
    found = probe()
    kept_apart = found.users or not found.root
    if found.bubblewrap and kept_apart and (found.nested or found.landlock):
        name = "bubblewrap+landlock" if found.landlock else "bubblewrap"
        return Layer(name, True, found.nested, bool(found.landlock), found.users)
    if found.landlock and kept_apart:
        return Layer("landlock", landlock=True, users=found.users)
    if found.users:
        return Layer("user", users=True)
    if sys.platform == "linux" and allow_none:
        return NONE
    raise SandboxError(
        "Notebooks of strangers are not run here without a sandbox. On Linux install bubblewrap "
        "(apt-get install bubblewrap) or use a kernel with Landlock (5.13 or newer), and be an "
        "ordinary user or a root that may change its user; elsewhere grade in WSL2, in Docker or "
        f"in Colab. Found: {found.why_not}"
    )


def bubblewrap_namespaces() -> list[str]:
    """Bubblewrap's; as root none of users, so that each notebook gets a user of its own."""
    apart = [f"--unshare-{kind}" for kind in ("pid", "net", "ipc", "uts")]
    apart.append("--die-with-parent")
    if os.geteuid() == 0:
        return [*apart, *(word for name in CAPABILITIES for word in ("--cap-add", f"CAP_{name}"))]
    return [*apart, "--unshare-user"]


def _refusal(program: str, *command: str) -> str:
    """Why a command does not run in bubblewrap; empty where it does."""
    words = [program, *bubblewrap_namespaces(), "--ro-bind", "/", "/", "--proc", "/proc"]
    done = subprocess.run(
        [*words, "--dev", "/dev", *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode == 0:
        return ""
    return done.stderr.strip()[-300:] or f"bubblewrap ended with status {done.returncode}"


@functools.cache
def _can_change_user() -> bool:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            become(FIRST_USER)
            kernel.drop_capabilities()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1] == 0
