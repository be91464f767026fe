import os
import pathlib
import signal
import threading
import time

import pytest

from tfmp.files.folder_locks import FolderLocks


def in_fork(work):
    """Runs a function in a fork, which then waits to be killed; returns its process when the function is done."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work(lambda: os.write(writable, b"1"))
            time.sleep(60)
        finally:
            os._exit(1)
    os.close(writable)
    assert os.read(readable, 1) == b"1"
    os.close(readable)
    return child


def kill(child):
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def is_free(folder):
    try:
        with FolderLocks(folder).searching():
            return True
    except ValueError as error:
        assert str(error) == f"Another process searches in the folder {str(folder)!r}. Wait for it, or end it."
        return False


def test_one_at_a_time_and_nothing_stays(tmp_path):
    with FolderLocks(tmp_path).searching():
        assert not is_free(tmp_path)
        with FolderLocks(tmp_path).hold("other", wait=False):
            pass
    assert is_free(tmp_path)
    assert os.listdir(tmp_path) == []


def test_the_lock_of_a_dead_process_is_free(tmp_path):
    def work(done):
        with FolderLocks(tmp_path).searching():
            done()
            time.sleep(60)

    child = in_fork(work)
    assert not is_free(tmp_path)
    kill(child)
    assert (tmp_path / "locks" / "search").exists() and is_free(tmp_path)


def test_a_fork_does_not_keep_the_lock(tmp_path):
    """Readers of data may outlive the process that was killed."""
    with FolderLocks(tmp_path).searching():
        child = in_fork(lambda done: done())
        assert not is_free(tmp_path)
    try:
        assert is_free(tmp_path)
    finally:
        kill(child)


def test_who_waits_gets_it_and_two_never_have_it(tmp_path):
    inside, most, counts = [], [], []

    def work():
        for _ in range(25):
            with FolderLocks(tmp_path).hold("name"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()
        counts.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(counts) == 4 and max(most) == 1 and len(most) == 100
    assert os.listdir(tmp_path) == []


def test_a_file_of_somebody_else_stays(tmp_path):
    path = tmp_path / "locks" / "search"
    path.parent.mkdir()
    path.write_text("a list of locks")
    assert is_free(tmp_path)
    assert path.read_text() == "a list of locks"


def test_a_change_of_the_current_folder_changes_no_lock(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    locks = FolderLocks("folder")
    pathlib.Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    with locks.searching():
        assert not is_free(tmp_path / "folder")
    with pytest.raises(BlockingIOError), locks.hold("one"), locks.hold("one", wait=False):
        pass
