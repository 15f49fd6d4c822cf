"""launch: what each process returned, or which one failed and how; never a hang."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rank_workers

from bnkit.distributed.launching import RankError, launch


def test_launch_prepares_each_process():
    assert launch(rank_workers.settings, 2, threads=2) == [(0, 2, "gloo", 2), (1, 2, "gloo", 2)]


def test_no_rank_works_before_all_have_joined():
    # Else one that returns at once closes the connections that another still waits for.
    (_, began), (joined, _) = launch(rank_workers.joined_and_began, 2, rank_workers.JoinsLate())
    assert began >= float(joined)


def test_a_worker_that_raises_is_named_with_its_own_traceback():
    with pytest.raises(RankError) as caught:
        launch(rank_workers.raise_in_one, 2)
    text = str(caught.value)
    assert caught.value.rank == 1
    assert text.startswith("rank 1 of 2 raised KeyError: 'the number of channels'\n")
    assert 'in raise_in_one\n    raise KeyError("the number of channels")' in text
    assert text.count("Traceback") == 1
    assert not multiprocessing.active_children()


def test_a_killed_rank_is_named_and_the_others_end_within_30_seconds(tmp_path):
    with pytest.raises(RankError, match=r"^rank 1 of 3 ") as caught:
        launch(rank_workers.kill_one, 3, str(tmp_path), timeout=600)
    assert time.time() - float((tmp_path / "death").read_text()) < 30
    assert not multiprocessing.active_children()
    if sys.platform != "win32":
        assert str(caught.value) == "rank 1 of 3 was killed by SIGKILL"


def test_a_rank_that_leaves_without_returning_is_named():
    with pytest.raises(
        RankError, match=r"^rank 1 of 2 ended with exit code 0 and returned nothing"
    ):
        launch(rank_workers.leave, 2)


def test_waiting_for_a_rank_that_stays_away_ends_after_the_timeout():
    with pytest.raises(RankError, match=r"^rank 0 of 2 raised .*[Tt]imed out"):
        launch(rank_workers.stay_away, 2, timeout=1)
    assert not multiprocessing.active_children()


@pytest.mark.skipif(sys.platform == "win32", reason="looks for processes as POSIX does")
def test_processes_end_with_the_one_that_started_them(tmp_path):
    call = f"launch(rank_workers.wait_forever, 2, {str(tmp_path)!r})"
    code = f"import rank_workers; from bnkit.distributed import launch; {call}"
    caller = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parent)
    try:
        wait_until(lambda: len(list(tmp_path.glob("*.pid"))) == 2, 60)
    finally:
        caller.send_signal(signal.SIGKILL)
        caller.wait()
    for pid in [int(path.read_text()) for path in tmp_path.glob("*.pid")]:
        wait_until(lambda pid=pid: has_ended(pid), 20)


def wait_until(happened, seconds):
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.1)


def has_ended(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/stat")  # of its parent gone, nobody may collect it: a zombie
    return status.exists() and status.read_text().rpartition(") ")[2].startswith("Z")


def test_a_worker_that_no_process_can_import_is_refused(monkeypatch):
    with pytest.raises(
        ValueError, match=r"expected a worker that a module defines, got .*<lambda>"
    ):
        launch(lambda rank, world_size: rank, 2)
    notebook = type(sys)("__main__")  # has no file
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    monkeypatch.setattr(rank_workers.settings, "__module__", "__main__")
    with pytest.raises(ValueError, match="got settings: move it to a file"):
        launch(rank_workers.settings, 2)


def test_fewer_than_one_process_is_refused():
    with pytest.raises(ValueError, match="expected world_size >= 1, got 0"):
        launch(rank_workers.settings, 0)


def test_the_error_can_be_sent_between_processes():
    error = pickle.loads(pickle.dumps(RankError("rank 1 of 2 was killed by SIGKILL", 1)))
    assert (str(error), error.rank) == ("rank 1 of 2 was killed by SIGKILL", 1)
