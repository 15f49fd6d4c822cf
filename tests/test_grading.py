"""The judge of submissions: an answer runs elsewhere, is fenced in, and gains nothing by tricks."""

from __future__ import annotations

import builtins
import json
import sys
import tempfile
from pathlib import Path

import pytest
import torch

pytest.importorskip("IPython")

from bnkit.book.exercise import compose
from bnkit.book.grading.judge import Cell, Verdict, verdict
from bnkit.book.grading.landlock import can_lock
from bnkit.book.grading.wire import decode, encode
from bnkit.book.grading.workshop import Workshop
from bnkit.book.observe import Observation, first_difference
from bnkit.book.registry import EXERCISES
from bnkit.book.run import LIMIT

FORWARD = EXERCISES["forward"]
IMPORTS = """import copy
import math
import torch
import torch.nn.functional as F
from torch import nn
from bnkit.book.registry import check"""
SHORT = 2.0  # seconds for what never ends
WRONG = FORWARD.source.replace(" + bias", "")


@pytest.fixture(scope="module")
def workshop():
    made = Workshop(LIMIT)
    yield made
    made.close()


def inside(*lines: str) -> str:
    """The right answer, with lines in front of its first one."""
    head, body = FORWARD.parts
    return "\n".join([head, *(f"    {line}" for line in lines), body])


def judged(workshop: Workshop, *sources: str, name: str = "forward", closed=()) -> Verdict:
    """The verdict on cells of which the last one is the answer's."""
    cells = [Cell(0, IMPORTS)]
    cells += [Cell(i, each, i == len(sources)) for i, each in enumerate(sources, start=1)]
    return verdict(EXERCISES[name], cells, workshop, closed)


def to_all(what: str) -> list[str]:
    """Lines that write to whatever is open."""
    return ["for fd in range(3, 64):", f"    try: os.write(fd, {what})", "    except OSError: pass"]


def says(message: str) -> str:
    """An answer that speaks in the name of its process, and ends it."""
    return inside("import os", *to_all(repr(message.encode() + b"\n")), "os._exit(0)")


def told(found: Verdict) -> str:
    """Everything that a verdict says."""
    return f"{found.whole!r} {found.whole.hint}"


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_of_each_exercise_passes_where_no_solution_is_at_hand(workshop, name):
    found = judged(workshop, EXERCISES[name].source, name=name)
    assert found.right and found.smallest, told(found)


@pytest.mark.parametrize("name", EXERCISES)
def test_observations_are_the_same_after_their_journey(name):
    for seen in EXERCISES[name].expected:
        arrived = decode(json.loads(json.dumps(encode(seen))))
        assert first_difference(seen, arrived) is None
        assert arrived.facets.keys() == seen.facets.keys()


def test_a_mistake_is_named_as_check_names_it(workshop):
    found = judged(workshop, WRONG)
    assert found.whole.mistake == "beta forgotten"
    assert found.smallest and not found.right  # its bias is 0


def test_a_mistake_in_a_class_is_named(workshop):
    task = EXERCISES["layer"]
    mistake = task.mistakes[0]
    change = next(each for each in mistake.versions if not callable(each))
    found = judged(workshop, compose(task.source, change), name="layer")
    assert found.whole.mistake == mistake.name


ENDS = {  # what it does, and a word of what is said
    "ends the process": (inside("import os", "os._exit(0)"), "ended the process"),
    "is ended by a signal": (inside("import ctypes", "ctypes.string_at(0)"), "SIGSEGV"),
    "never ends": (inside("while True: pass"), "loop that never ends"),
    "swallows the stop": (
        inside("while True:", "    try:", "        while True: pass", "    except: pass"),
        "loop that never ends",
    ),
    "never ends beside the function": (FORWARD.source + "\nwhile True: pass", "never ends"),
    "asks for too much memory": (inside("torch.ones(2**30)"), "more memory"),
    "collects too much memory": (
        inside("kept = []", "while True: kept.append(torch.empty(10**8))"),
        "more memory",
    ),
    "exits": (inside("raise SystemExit"), "SystemExit"),
    "interrupts": (inside("raise KeyboardInterrupt"), "KeyboardInterrupt"),
    "waits for input": (inside("input()"), "EOFError"),
    "forks": (inside("import os", "os.fork()"), "another process"),
    "starts a program": (inside("import subprocess", "subprocess.run(['ls'])"), "another process"),
    "spawns": (
        inside("import multiprocessing as m", "m.get_context('spawn').Process().start()"),
        "another process",
    ),
    "ends another process": (inside("import os", "os.kill(os.getppid(), 9)"), "another process"),
    "opens a connection": (
        inside("import socket", "socket.create_connection(('127.0.0.1', 9))"),
        "the network",
    ),
    "defines nothing": ("pass", "No cell defines batch_norm_train"),
    "is no Python": ("zero = 0\ndef batch_norm_train(x", "in line 2: def batch_norm_train(x"),
    "raises in its cell": ("1 / 0\n" + FORWARD.source, "ZeroDivisionError"),
    "is the stub": (FORWARD.stub, "Not started"),
    "makes up what is sent": (says('{"seen": [], "stage": null}'), "no result of this exercise"),
    "sends a cell that is none": (says('{"cell": Infinity}'), "no result of this exercise"),
    "sends a number without end": (
        says('{"seen": [{"facets": [["output", {"shape": [1], "numbers": [%s]}]]}]}' % ("9" * 400)),
        "no result of this exercise",
    ),
    "sends folders in folders": (says('{"seen": ' + "[" * 50000), "ended the process"),
    "sends without end": (
        inside("import os", "while True:", *(f"    {line}" for line in to_all("b'x' * 65536"))),
        "no result of this exercise",
    ),
    "ends another process past Python": (
        inside("import os, signal", "signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 9)"),
        "another process",
    ),
    "limits another process": (
        inside("import os, resource", "resource.prlimit(os.getppid(), 0, (1, 1))"),
        "another process",
    ),
    "calls functions of C": (inside("import ctypes", "ctypes.CDLL(None).fork()"), "functions of C"),
    "makes its own way to C": (inside("import cffi", "cffi.FFI().dlopen(None)"), "functions of C"),
    "looks into other processes": (
        inside("import os", "open(f'/proc/{os.getppid()}/environ').read()"),
        "other processes",
    ),
    "ends where an object is deleted": (
        "import os, sys\nsys.unraisablehook = lambda *_: os._exit(0)\n"
        "class Last:\n    def __del__(self): 1 / 0\nLast()\n" + FORWARD.source,
        "ended the process",
    ),
    "starts threads that never end": (
        inside(
            "import threading",
            "for _ in range(9): threading.Thread(target=lambda: list(iter(int, 1))).start()",
            "while True: pass",
        ),
        "never ends",
    ),
    "removes its folder": (inside("import os, shutil", "shutil.rmtree(os.getcwd())"), "no files"),
}


@pytest.mark.parametrize("what", ENDS)
def test_an_answer_gets_no_points_and_a_line_that_says_why_if_it(workshop, what):
    source, word = ENDS[what]
    if word == "SIGSEGV" and not sys.platform.startswith("linux"):
        pytest.skip("signals have other names")
    workshop.limit = SHORT if "never ends" in word else LIMIT
    found = judged(workshop, source)
    workshop.limit = LIMIT
    assert not found.right and not found.smallest
    assert word in told(found)


def test_the_next_student_is_graded_after_any_of_them(workshop):
    assert judged(workshop, FORWARD.source).right


TRICKS = {  # all of them in front of an answer that forgets beta
    "says that all tensors are close": "torch.allclose = lambda *a, **k: True",
    "replaces the check": "import bnkit.book.registry as r\nr.check = lambda *a, **k: 1",
    "replaces the comparison": "import bnkit.book.observe as o\n"
    "o.first_difference = lambda *a: None\no.RTOL = o.ATOL = 1e9",
    "replaces the engine": "import bnkit.book.exercise as e\n"
    "e.judge = e.examine = lambda *a, **k: type('Right', (), {'passed': True})()",
    "replaces what the worker says": "import json\nimport bnkit.book.grading.wire as w\n"
    "json.dumps = lambda *a, **k: '{}'\nw.line = lambda *a: b'{}'",
    "replaces builtins": "import builtins\nbuiltins.any = lambda *a: False",
    "says that all tensors are equal": "torch.Tensor.__eq__ = lambda *a: True",
    "empties the environment": "import os\nos.environ.clear()\nos.environ['PYTHONPATH'] = '/'",
    "refuses all imports": "import sys\nclass Hook:\n    def find_spec(self, *a):\n"
    "        raise ImportError\nsys.meta_path.insert(0, Hook())",
    "acts at the end": "import atexit, os\natexit.register(os._exit, 1)",
    "prints without end": "for _ in range(400): print('passed ' * 2**18)",
    "watches": "import sys\ntry: sys.settrace(lambda *a: None)\nexcept PermissionError: pass",
    "keeps all garbage": "import gc\ngc.disable()\ngc.callbacks.append(lambda *a: None)",
}


@pytest.mark.parametrize("trick", TRICKS)
def test_an_answer_gains_nothing_that(workshop, trick):
    for answer in (WRONG, FORWARD.stub + "  # later"):
        assert not judged(workshop, TRICKS[trick], answer).right
    assert judged(workshop, WRONG).whole.mistake == "beta forgotten"  # whoever comes next


@pytest.mark.parametrize("trick", TRICKS)
def test_a_right_answer_loses_little_beside_code_that(workshop, trick):
    found = judged(workshop, TRICKS[trick], FORWARD.source)
    assert found.right or found.whole.status == "stopped"


LOOKS = {
    "imports the chapter": "from bnkit.book.ch02 import batch_norm_train as right",
    "imports the registry": "from bnkit.book.registry import EXERCISES\n"
    "right = EXERCISES['forward'].oracle",
    "reads the book's files": "import bnkit\nfrom pathlib import Path\n"
    "text = (Path(bnkit.__file__).parent / 'book' / 'ch02.py').read_text()\nright = None",
    "searches frames": "import sys\ndef right(*a):\n"
    "    frame = sys._getframe(2)\n"
    "    while frame:\n"
    "        for each in [*frame.f_locals.values(), *frame.f_globals.values()]:\n"
    "            if getattr(each, '__name__', '') in ('_right', 'batch_norm_train'):\n"
    "                if each is not batch_norm_train: return each(*a)\n"
    "            for name in ('oracle', 'solution'):\n"
    "                if hasattr(each, name): return getattr(each, name)(*a)\n"
    "        frame = frame.f_back",
    "searches all objects": "import gc\ndef right(*a):\n"
    "    for each in gc.get_objects():\n"
    "        if type(each).__name__ in ('Exercise', 'Mistake'): return each.oracle(*a)\n"
    "        if type(each).__name__ == 'function' and each is not batch_norm_train:\n"
    "            if each.__name__ in ('_right', 'batch_norm_train'): return each(*a)",
}


@pytest.mark.parametrize("look", LOOKS)
def test_no_answer_finds_the_solution_that(workshop, look):
    answer = "def batch_norm_train(*given):\n    return right(*given)"
    assert not judged(workshop, LOOKS[look], answer).right


def test_an_answer_cannot_hide_that_it_is_ready_made(workshop):
    call = "F.batch_norm(x, None, None, weight, bias, training=True, eps=eps)"
    head, _ = FORWARD.parts
    for line in ("pass", "import sys; sys.setprofile(None)", "import sys; sys.settrace(None)"):
        found = judged(workshop, f"{head}\n    {line}\n    return {call}")
        assert not found.right or "batch_norm" in found.whole.ready_made


def test_an_answer_sees_no_variable_of_the_teachers(workshop, monkeypatch):
    monkeypatch.setenv("TOKEN_OF_MINE", "secret")
    workshop.close()  # the next process is started with it
    assert judged(workshop, inside("import os", "assert 'TOKEN_OF_MINE' not in os.environ")).right


def test_files_of_the_course_are_closed_and_its_own_folder_is_open(workshop, tmp_path):
    secret = tmp_path / "source.ipynb"
    secret.write_text("solution")
    reads = inside(f"open({str(secret)!r}).read()")
    assert "does not read" in told(judged(workshop, reads, closed=[str(tmp_path)]))
    assert judged(workshop, reads).right
    own = inside("open('note', 'w').write('x')", "assert open('note').read() == 'x'")
    assert judged(workshop, own).right


def test_an_answer_leaves_no_file_behind(workshop, tmp_path):
    for line in (
        f"open({str(tmp_path / 'made')!r}, 'w')",
        f"import os; os.mkdir({str(tmp_path / 'made')!r})",
        f"import shutil; shutil.copy({__file__!r}, {str(tmp_path)!r})",
        f"open('a', 'w'); import os; os.rename('a', {str(tmp_path / 'made')!r})",
        f"import os; os.symlink('a', {str(tmp_path / 'made')!r})",
        f"import os; os.mkdir('made', dir_fd=os.open({str(tmp_path)!r}, os.O_RDONLY))",
        f"torch.save(1, {str(tmp_path / 'made')!r})",
        f"torch.from_file({str(tmp_path / 'made')!r}, shared=True, size=8)",
    ):
        assert "writes no files" in told(judged(workshop, inside(line)))
    assert not list(tmp_path.iterdir())
    assert not [path for path in Path(tempfile.gettempdir()).glob("*/note")]


AS_A_LIBRARY = "exec(compile({code!r}, torch.__file__, 'exec'))"  # no hook knows better


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux")
def test_what_an_answer_leaves_running_is_ended(workshop):
    code = "import ctypes, os, time\nc = ctypes.CDLL(None)\n"
    code += "if not c.fork():\n    os.setsid(); os.closerange(3, 64); time.sleep(600)"
    found = judged(workshop, inside(AS_A_LIBRARY.format(code=code)))
    running = Path(f"/proc/{workshop._process.pid}/task").glob("*/children")
    assert [each.read_text() for each in running] == [""], told(found)


@pytest.mark.skipif(not can_lock(), reason="needs a kernel with Landlock")
def test_the_kernel_refuses_what_code_of_c_writes_outside(workshop, tmp_path):
    made = str(tmp_path / "made")
    opens = f"import ctypes\nctypes.CDLL(None).open({made!r}.encode(), 0o101, 0o600)"
    assert judged(workshop, inside(AS_A_LIBRARY.format(code=opens))).right
    ends = "import ctypes, os\nctypes.CDLL(None).kill(os.getppid(), 9)"
    assert judged(workshop, inside(AS_A_LIBRARY.format(code=ends))).right
    assert not Path(made).exists()


def test_folders_in_folders_are_cleared_away(workshop):
    before = set(Path(tempfile.gettempdir()).iterdir())
    judged(workshop, "import os\nfor _ in range(1500): os.mkdir('d'); os.chdir('d')", WRONG)
    left = set(Path(tempfile.gettempdir()).iterdir()) - before
    assert not [path for path in left if (path / "d").exists()]


def test_what_an_answer_prints_does_not_matter(workshop):
    assert judged(workshop, inside("print('x' * 1000000)")).right


def test_a_notebooks_magic_does_not_matter(workshop):
    cells = ["%matplotlib inline\n!ls\ndisplay(1)", "%%time\nzero = 0", inside("assert not zero")]
    assert judged(workshop, *cells).right


@pytest.mark.parametrize("cell", ["while True: pass", "import os; os._exit(3)", "1 / 0"])
def test_another_cell_that_ends_costs_an_exercise_nothing(workshop, cell):
    workshop.limit = SHORT
    found = judged(workshop, "helper = 1", cell, FORWARD.source)
    workshop.limit = LIMIT
    assert found.right and found.ends == (() if "/" in cell else (2,))


def test_an_answer_may_use_an_earlier_cell(workshop):
    helper = "def root(var, eps):\n    return torch.sqrt(var + eps)"
    answer = FORWARD.source.replace("torch.sqrt(var + eps)", "root(var, eps)")
    assert "root(" in answer
    assert judged(workshop, helper, answer).right


def test_no_answer_runs_in_the_process_of_the_judge(workshop):
    before = torch.allclose
    judged(workshop, "import builtins, torch\nbuiltins.was_here = torch.allclose = 1", WRONG)
    assert not hasattr(builtins, "was_here") and torch.allclose is before


def test_where_nothing_forks_each_answer_has_a_process_that_ends():
    made = Workshop(LIMIT)
    serve = "import bnkit.book.grading.worker as w; w.FORKS = False; w.serve()"
    made.command = [sys.executable, "-c", serve]
    try:
        assert "exit code 3" in told(judged(made, inside("import os; os._exit(3)")))
        assert judged(made, FORWARD.source).right
    finally:
        made.close()


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        {"facets": [["output", {"shape": [2], "numbers": [1.0]}]]},
        {"facets": [["output", {"shape": [-1], "numbers": []}]]},
        {"facets": [["output", {"shape": [1], "numbers": ["nan"]}]]},
        {"facets": [["output", 3]]},
        {"facets": [], "unheard_of": ""},
    ],
)
def test_what_is_no_observation_is_refused(plain):
    with pytest.raises(ValueError, match=r"got|expected|required"):
        decode(plain)


def test_numbers_that_are_none_travel():
    seen = Observation({"output": torch.tensor([float("nan"), float("inf"), 1 / 3]), "lost": None})
    arrived = decode(json.loads(json.dumps(encode(seen))))
    assert torch.equal(arrived.facets["output"][1:], seen.facets["output"][1:].double())
    assert arrived.facets["output"][0].isnan() and arrived.facets["lost"] is None
