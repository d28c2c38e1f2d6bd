"""What a notebook finds in its sandbox: the system, Python, and the course as it may see it."""

from __future__ import annotations

import os
import shutil
import site
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path

import nlp_course
from nlp_course.grading.layers import bubblewrap_namespaces

SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/alternatives", "/etc/fonts"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/group"),
    *("/etc/timezone", "/etc/nsswitch.conf", "/etc/ssl", "/etc/mime.types"),
    *("/etc/matplotlibrc", "/sys/devices/system/cpu"),
)
# Inside bubblewrap: what notebooks write, and the course as they may see it.
NOTEBOOKS, COURSE = "/notebook", "/course"
GPU = ("/dev/nvidia*", "/dev/nvidia-caps/*", "/dev/dri", "/dev/kfd")
# Of a folder that Python is installed in; a course may lie around a virtual environment.
OF_PYTHON = ("bin", "lib", "lib64", "libexec", "include", "share", "etc", "ssl", "pyvenv.cfg")
# Of the course's grading, all that a student's process and the one that forks it need.
AGENT = (
    *("wire.py", "agent.py", "warm.py", "lockdown.py", "seccomp.py", "landlock.py"),
    *("kernel.py", "processes.py", "attempt.py"),
)
PASSWD = "student:x:65534:65534::/notebook/home:/usr/sbin/nologin\n"


def package_folder() -> Path:
    """Where the course's package is installed."""
    return Path(nlp_course.__file__).resolve().parent


def stage(folder: Path, withheld: Sequence[str]) -> Path:
    """Copy the course's package, without what answers the questions, and without its grading.

    Parameters
    ----------
    withheld : modules or packages of the course, `nlp_course.word2vec`
    """
    own = package_folder()
    gone = {name.partition(".")[2].replace(".", "/") for name in withheld}

    def leave_out(place: str, names: list[str]) -> list[str]:
        inside = Path(place).relative_to(own)
        return [
            name
            for name in names
            if name in ("__pycache__", "grading") or str(inside / name).removesuffix(".py") in gone
        ]

    shutil.copytree(own, folder / "nlp_course", ignore=leave_out)
    grading = folder / "nlp_course" / "grading"
    grading.mkdir()
    (grading / "__init__.py").write_text("", encoding="utf-8")
    for name in AGENT:
        shutil.copy(own / "grading" / name, grading)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def own_packages() -> list[str]:
    """The user's own folder of packages, where Python uses it."""
    folder = site.getusersitepackages()
    return [folder] if site.ENABLE_USER_SITE and folder in sys.path else []


def python_folders() -> list[str]:
    """Where Python and its packages lie, if the system's folders do not hold them."""
    prefixes = {sys.prefix, sys.base_prefix, str(Path(os.path.realpath(sys.executable)).parents[1])}
    found = {os.path.join(prefix, name) for prefix in prefixes for name in OF_PYTHON}
    found |= {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *own_packages()}
    kept: list[str] = []
    for path in sorted(filter(os.path.exists, found), key=lambda path: path.count("/")):
        if not any(_within(path, other) for other in [*SYSTEM, *kept]):
            kept.append(path)
    return kept


def _within(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder)


def without(folder: str, hidden: Path) -> list[str]:
    """Paths that together are a folder, but for another one inside it.

    >>> without("/usr", Path("/home"))
    ['/usr']
    """
    if not _within(str(hidden), os.path.realpath(folder)):
        return [folder]
    if hidden == Path(folder).resolve():
        return []
    return [
        path for entry in sorted(Path(folder).iterdir()) for path in without(str(entry), hidden)
    ]


def devices() -> list[str]:
    """The machine's GPUs, as files."""
    return sorted(str(path) for pattern in GPU for path in Path("/").glob(pattern[1:]))


def bubblewrap(
    program: str, course: Path, seen: Sequence[str], *, gpu: bool, disk: int
) -> list[str]:
    """The command that shows a process these files and folders, read-only, and nothing else.

    Parameters
    ----------
    course : the folder with the course as it was staged, and room for another file
    seen : what else of the machine is shown, at the same place
    disk : bytes for what is written, by all notebooks that have no file system of their own
    """
    passwd = course.parent / "passwd"
    passwd.write_text(PASSWD, encoding="utf-8")
    passwd.chmod(0o644)
    words = [program, *bubblewrap_namespaces(), "--hostname", "notebook"]
    words += ["--proc", "/proc", "--dev", "/dev"]
    words += ["--size", str(disk), "--perms", "1777", "--tmpfs", "/dev/shm"]
    # bubblewrap makes folders above what it binds for its own user alone.
    for parent in _parents([*SYSTEM, *seen, f"{COURSE}/nlp_course", "/tmp/own"]):
        words += ["--perms", "0755", "--dir", parent]
    words += ["--size", str(disk), "--perms", "0755", "--tmpfs", NOTEBOOKS]
    for path in [*SYSTEM, *(["/sys"] if gpu else [])]:
        if os.path.islink(path):
            words += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            words += ["--ro-bind", path, path]
    words += ["--ro-bind", str(passwd), "/etc/passwd", "--ro-bind", str(course), COURSE]
    for path in seen:
        words += ["--ro-bind", os.path.realpath(path), path]
    for path in devices() if gpu else []:
        words += ["--dev-bind", path, path]
    own = package_folder()
    if any(_within(str(own), path) for path in [*SYSTEM, *seen]):
        words += ["--tmpfs", str(own), "--remount-ro", str(own)]  # it is seen as it was staged
    return [*words, "--remount-ro", "/", "--chdir", "/", "--"]


def _parents(paths: Iterable[str]) -> list[str]:
    """Folders above these paths, the outermost first, but for links of the system's."""
    found = {str(parent) for path in paths for parent in Path(path).parents}
    return sorted(path for path in found - {"/"} if not os.path.islink(path))
