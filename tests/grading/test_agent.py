"""A student's cells run as in a notebook, what they show is bounded, and they always end."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nbformat import NotebookNode

from nlp_course.grading import agent
from nlp_course.grading.remote import CallTimeout, SessionLost, Student, StudentError
from tests.grading.sessions import session

Run = Callable[..., list[NotebookNode]]


@pytest.fixture(scope="module")
def live() -> Iterator[Student]:
    with session() as student:
        yield student


@pytest.fixture
def run(live: Student) -> Iterator[Run]:
    """Runs a cell in a copy of one process."""
    copy = live.snapshot()
    assert copy is not None

    def cell(source: str, timeout: float = 30.0, **settings: int) -> list[NotebookNode]:
        return copy.run_cell(source, timeout, **settings)

    yield cell
    copy.close()


def _text(outputs: list[NotebookNode]) -> str:
    return "".join(output.text for output in outputs if output.output_type == "stream")


def _shown(outputs: list[NotebookNode]) -> list[str]:
    return [output.data["text/plain"] for output in outputs if "data" in output]


# Cells


def test_outputs_come_in_their_order(run: Run):
    outputs = run(
        "import sys\nprint(1)\nprint(2)\nprint(3, file=sys.stderr)\nprint(4)\ndisplay(5)\n6"
    )
    kinds = [(o.output_type, o.get("name"), o.get("text")) for o in outputs]
    assert kinds[:3] == [
        ("stream", "stdout", "1\n2\n"),
        ("stream", "stderr", "3\n"),
        ("stream", "stdout", "4\n"),
    ]
    assert _shown(outputs) == ["5", "6"]


def test_names_stay_from_cell_to_cell(run: Run):
    assert run("x = 5") == []
    assert _shown(run("x + 1")) == ["6"]
    assert _shown(run("_ = 3; __name__")) == ["'__main__'"]
    assert _shown(run("import __main__; __main__.x")) == ["5"]


def test_an_error_is_an_output_with_the_cells_lines(run: Run):
    outputs = run("print('before')\ndef f():\n    return 1 / 0\nf()\nprint('after')")
    assert _text(outputs) == "before\n"
    error = outputs[-1]
    assert (error.output_type, error.ename) == ("error", "ZeroDivisionError")
    text = "\n".join(error.traceback)
    assert "return 1 / 0" in text
    assert "\x1b" not in text
    assert "agent.py" not in text


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("def f(:", "SyntaxError"),
        ("  x = 1\n y = 2", "IndentationError"),
        ("import sys\nsys.exit(3)", "SystemExit"),
        ("raise SystemExit", "SystemExit"),
        ("input('name?')", "RuntimeError"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("class E(Exception):\n    def __str__(self): raise self\nraise E", None),
        ("def f(): f()\nf()", "RecursionError"),
        ("%nonsense", None),
    ],
)
def test_whatever_a_cell_raises_the_next_one_runs(run: Run, source: str, kind: str | None):
    errors = [output for output in run(source) if output.output_type == "error"]
    if kind is not None:
        assert [error.ename for error in errors] == [kind]
    assert _shown(run("1 + 1")) == ["2"]


def test_forms_of_what_is_shown(run: Run):
    outputs = run(
        "from IPython.display import HTML, SVG, Image, Latex, Markdown, display\n"
        "import base64\n"
        "png = base64.b64decode('iVBORw0KGgo=')\n"
        "display(HTML('<b>bold</b>'), Markdown('*a*'), Latex('$x$'), Image(png, format='png'))\n"
        "display({'image/png': 'not base64!', 'text/plain': 'p'}, raw=True)\n"
        "SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>')"
    )
    forms = [set(output.data) - {"text/plain"} for output in outputs]
    assert forms == [
        set(),  # what becomes HTML is shown as text
        set(),
        set(),
        {"image/png"},
        set(),
        {"image/svg+xml"},
    ]
    assert all(output.data["text/plain"] for output in outputs[:3])
    assert all(type(value) is str for output in outputs for value in output.data.values())


FIGURE = "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.plot([1])\n"


def _pictures(outputs: list[NotebookNode]) -> list[bytes]:
    shown = [output.data for output in outputs if "data" in output]
    return [base64.b64decode(data["image/png"])[:4] for data in shown if "image/png" in data]


@pytest.mark.parametrize("how", ["", "plt.show()", "%matplotlib inline"])
def test_figures_are_pictures(run: Run, how: str):
    assert _pictures(run(FIGURE + how, 60.0)) == [b"\x89PNG"]
    assert run("plt.get_fignums()")[0].data["text/plain"] == "[]"


@pytest.mark.parametrize("how", ["fig;", "fig", "plt.gcf()"])
def test_a_figure_that_is_a_cells_value_is_a_picture(run: Run, how: str):
    assert set(_pictures(run(FIGURE + how, 60.0))) == {b"\x89PNG"}


@pytest.mark.parametrize("backend", ["agg", "module://matplotlib_inline.backend_inline"])
def test_figures_are_pictures_where_matplotlib_was_imported_before(backend: str):
    """As where it is imported once, in the process that all of them are copies of."""

    def child(channel: socket.socket) -> None:
        os.environ["MPLBACKEND"] = backend
        import matplotlib.pyplot as plt

        plt.switch_backend(backend)
        agent.prepare()
        agent.serve(channel)

    with session(child) as student:
        assert _pictures(student.run_cell(FIGURE, 60.0)) == [b"\x89PNG"]
        assert _pictures(student.run_cell("plt.plot([2])\nplt.show()", 60.0)) == [b"\x89PNG"]


def test_top_level_await_magics_and_the_shell(run: Run):
    assert _shown(run("import asyncio\nawait asyncio.sleep(0, 'waited')")) == ["'waited'"]
    assert "hello" in _text(run("!echo hello"))
    assert "Wall time" in _text(run("%%time\nsum([1])"))
    assert "No matching distribution" in _text(run("!pip install no-such-package", 60.0))
    assert _shown(run("names = !echo a\nnames")) == ["['a']"]


def test_chance_starts_at_0(run: Run):
    import random

    import numpy as np

    random.seed(0)
    expected = [repr(random.random()), repr(float(np.random.RandomState(0).random_sample()))]
    assert _shown(run("import random, numpy as np\nrandom.random()")) == expected[:1]
    assert _shown(run("float(np.random.random_sample())")) == expected[1:]


def test_nothing_of_a_users_is_read_or_kept(tmp_path: Path):
    startup = tmp_path / ".ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("planted = 1")
    (startup.parent / "ipython_config.py").write_text(
        "c.InteractiveShellApp.exec_lines = ['p = 1']"
    )
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "from tests.grading.sessions import session\n"
        "with session() as student:\n"
        "    print(student.run_cell('planted', 20.0)[-1].ename)\n"
        "    print(student.run_cell('p', 20.0)[-1].ename)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path / ".ipython")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["NameError", "NameError"]
    assert not list(tmp_path.rglob("history.sqlite"))


# Bounds


def test_200_mb_on_one_line_are_cut(run: Run):
    begun = time.monotonic()
    outputs = run("print('x' * 200_000_000)\nprint('more')\n1 / 0", output_limit=100_000)
    assert time.monotonic() - begun < 10
    assert len(_text(outputs)) <= 100_000
    assert outputs[0].text.startswith("xxx")
    assert "output cut after" in outputs[-1].text
    assert [output.ename for output in outputs if output.output_type == "error"] == [
        "ZeroDivisionError"
    ]


def test_characters_of_many_bytes_count_by_their_bytes(run: Run):
    outputs = run("print('€' * 100_000)\nprint('\\ud800')", output_limit=10_000)
    assert sum(len(output.text.encode()) for output in outputs) <= 10_000


def test_many_small_writes_and_many_outputs(run: Run):
    outputs = run("for i in range(20_000): print(i % 10, end='')", output_limit=10_000)
    assert len(outputs) == 2
    outputs = run("for i in range(2000): display(i)")
    assert len(outputs) == 1001
    assert "output cut" in outputs[-1].text


def test_a_long_message_and_a_long_traceback(run: Run):
    (error,) = run("raise ValueError('x' * 10_000_000)")
    assert len(error.evalue) <= 2000
    assert sum(map(len, error.traceback)) <= 20_000
    begun = time.monotonic()
    (error,) = run(
        "def f(n):\n    try:\n        1 / 0\n    except Exception:\n        f(n + 1)\nf(0)"
    )
    assert error.ename == "RecursionError"
    assert time.monotonic() - begun < 10
    assert sum(map(len, error.traceback)) <= 20_000


def test_a_large_picture_is_left_out(run: Run):
    outputs = run("display({'image/png': 'A' * 4_000_000, 'text/plain': 'p'}, raw=True)\nprint(1)")
    assert "1\n" in _text(outputs)
    assert "output cut" in outputs[-1].text


def test_clear_output_takes_back_what_was_shown(run: Run):
    outputs = run(
        "from IPython.display import clear_output\nprint('old')\nclear_output()\nprint('new')"
    )
    assert _text(outputs) == "new\n"


# Time


def test_a_cell_that_does_not_end_is_interrupted_and_the_next_one_runs():
    with session() as student:
        begun = time.monotonic()
        outputs = student.run_cell("x = 1\nwhile True: pass", 0.5)
        assert time.monotonic() - begun < 3
        assert outputs[-1].ename == "KeyboardInterrupt"
        assert outputs[-1].evalue == "the cell was stopped after 0.5 seconds"
        assert "agent.py" not in "".join(outputs[-1].traceback)
        assert _shown(student.run_cell("x", 5.0)) == ["1"]


@pytest.mark.parametrize(
    "source",
    [
        "import time\nwhile True:\n    try: time.sleep(60)\n    except BaseException: pass",
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)",
        "sum(range(10**13))",  # in C, where no signal is looked at
    ],
)
def test_a_cell_that_will_not_be_interrupted_is_given_up(source: str):
    with session() as student:
        begun = time.monotonic()
        with pytest.raises(SessionLost, match="did not stop"):
            student.run_cell(source, 0.5)
        assert time.monotonic() - begun < 5
        with pytest.raises(SessionLost, match="did not stop"):
            student.run_cell("1", 5.0)


def test_without_an_interrupt_it_is_given_up_at_once(live: Student):
    copy = live.snapshot()
    assert copy is not None
    begun = time.monotonic()
    with pytest.raises(SessionLost, match="did not stop after 0 seconds"):
        copy.run_cell("while True: pass", 0.3)
    assert time.monotonic() - begun < 1.5
    copy.close()


def test_interrupts_between_two_cells_and_calls_do_nothing():
    with session() as student:
        pid = int(_shown(student.run_cell("import os; os.getpid()", 10.0))[0])
        student.run_cell("def f(): return 1", 10.0)
        stop = threading.Event()

        def pepper() -> None:
            while not stop.wait(0.002):
                os.kill(pid, signal.SIGINT)

        thread = threading.Thread(target=pepper)
        thread.start()
        try:
            time.sleep(0.3)  # between two: none of these may end the process
            interrupted = 0
            for _ in range(200):
                try:
                    assert student.ask("call", student.ask("get", "f"), (), {}) == 1
                except StudentError:
                    interrupted += 1
        finally:
            stop.set()
            thread.join()
        assert student.lost is None
        assert _shown(student.run_cell("f()", 10.0)) == ["1"]


def test_a_call_is_interrupted_too():
    with session() as student:
        pid = int(_shown(student.run_cell("import os; os.getpid()", 10.0))[0])
        student.run_cell("def loop():\n    while True: pass", 10.0)
        threading.Timer(0.3, lambda: os.kill(pid, signal.SIGINT)).start()
        student.deadline = time.monotonic() + 10
        with pytest.raises(Exception, match=r"^$") as caught:
            student.names({})["loop"]()
        assert not isinstance(caught.value, SessionLost | CallTimeout)
        assert _shown(student.run_cell("1", 10.0)) == ["1"]


# What a student's code changes


HARMFUL = {
    "standard output": "import sys\nsys.stdout = sys.stderr = None",
    "closed output": "import sys\nsys.stdout.close()",
    "built-in names": "import builtins\nbuiltins.len = builtins.list = builtins.isinstance = None",
    "json": "import json\njson.dumps = json.loads = lambda *a, **k: 1 / 0",
    "numpy": "import numpy\nnumpy.ndarray = numpy.asarray = numpy.generic = None",
    "threads": "import threading\nthreading.get_ident = lambda: 0",
    "the shell": "get_ipython().run_cell = lambda *a, **k: None",
    "the shell's class": "type(get_ipython())._showtraceback = None",
    "the display": "get_ipython().display_pub.publish = None",
    "the agent": "from nlp_course.grading import agent\nagent.Agent._answer = None",
    "the agent's replies": "from nlp_course.grading import agent\n"
    "agent.Agent._reply = lambda self, *a: None",
    "the wire": "from nlp_course.grading import wire\nwire.dumps = lambda *a: b'[]'",
    "the wire's framing": "from nlp_course.grading import wire\n"
    "wire.send = lambda c, m: c.sendall(b'\\xff' * 99)",
    "sockets": "import socket\nsocket.socket.recv = socket.socket.sendall = None",
    "all modules": "import sys\nsys.modules.clear()",
    "signals": "import signal\nsignal.pthread_sigmask(0, range(1, 65))",
    "threads that stay": "import threading, time\n"
    "[threading.Thread(target=time.sleep, args=(99,)).start() for _ in range(20)]",
    "children": "import os\nos.fork() or os._exit(0)",
    "a closed channel": "import os\nos.closerange(3, 100)",
    "its own end": "import os\nos._exit(0)",
    "an abort": "import os\nos.abort()",
    "exit functions": "import atexit, time\natexit.register(time.sleep, 99)",
    "memory": "import sys\nsys.setrecursionlimit(10**6)",
    "tracing": "import sys\nsys.settrace(lambda *a: 1 / 0)\nsys.setprofile(lambda *a: None)",
    "a full stack": "import gc\n[o.clear() for o in gc.get_objects() if type(o) is dict]",
}


@pytest.mark.parametrize("what", HARMFUL)
def test_harm_to_its_own_process_is_an_error_or_the_sessions_end(what: str):
    with session() as student:
        begun = time.monotonic()
        student.run_cell("def f(x): return x", 10.0)
        for act in (
            lambda: student.run_cell(HARMFUL[what], 2.0),
            lambda: student.run_cell("print(1)\n1 / 0", 2.0),
            lambda: student.names({})["f"]([1]),
            lambda: student.snapshot(),
        ):
            student.deadline = time.monotonic() + 2
            try:
                got = act()
            except (SessionLost, StudentError, NameError) as error:
                got = str(error)
            if isinstance(got, Student):
                got.close()
            assert isinstance(got, list | str | Student) or got is None
        assert time.monotonic() - begun < 30


def test_the_agent_and_the_wire_need_nothing_else_of_the_course(tmp_path: Path):
    package = tmp_path / "nlp_course" / "grading"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    folder = Path(agent.__file__).parent
    for name in ("agent.py", "wire.py"):
        (package / name).write_text((folder / name).read_text())
    code = (
        "import socket, sys\nfrom nlp_course.grading import agent, wire\n"
        "assert agent.__file__.startswith(sys.path[0])\n"
        "one, other = socket.socketpair()\n"
        "wire.send(one, wire.dumps(('ask', 1, 'run', 'print(5)', 1000)))\none.shutdown(1)\n"
        "agent.serve(other)\n"
        "sys.__stdout__.write(repr(wire.loads(wire.receive(one, 9.0, 10000))))\n"
        "sys.__stdout__.write(str('torch' in sys.modules) + str('nbformat' in sys.modules))\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-S",
            "-c",
            f"import sys; sys.path[:0] = {[str(tmp_path), *sys.path]}\n{code}",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert "'text': '5\\n'" in done.stdout
    assert done.stdout.endswith("FalseFalse")


def test_the_process_ends_when_the_channel_closes():
    reading, writing = os.pipe()
    with session() as student:
        os.set_inheritable(writing, True)
        student.run_cell("1", 10.0)
        copy = student.snapshot()
        assert copy is not None
        copy._channel.close()
        student._channel.close()
        os.close(writing)
        begun = time.monotonic()
        assert os.read(reading, 1) == b""  # the last process that had the pipe has gone
        assert time.monotonic() - begun < 5
    os.close(reading)
