"""Kills `tfmp search` at every step of writing its results."""

import errno
import os
import pathlib
import signal

import pytest

from tfmp.cli.search_results import SearchResults

NAMES = ("fixed.keras", "assignment.json")
STEPS = ("replace", "link", "unlink", "rename", "fsync", "open", "mkdir", "rmdir")


def results(folder, overwrite=False):
    return SearchResults(folder, folder / "backup" / "epoch-00010", 5, overwrite=overwrite)


def saver(run):
    def save(*paths):
        for path, name in zip(paths, NAMES, strict=True):
            pathlib.Path(path).write_text(f"{name} of {run}")

    return save


def search(folder, run, overwrite=False):
    """What `tfmp search` does after its search."""
    found = results(folder, overwrite)
    with found.locked():
        if not found.are_written:
            found.write(saver(run))
        found.publish()


def runs(folder):
    """Of which run each of the two files is, None where there is none."""
    return tuple(
        (folder / name).read_text().removeprefix(f"{name} of ") if (folder / name).exists() else None for name in NAMES
    )


def killed_at(step, work):
    """Runs a function in a fork that dies before a step at the file system; returns whether it came so far."""
    child = os.fork()
    if child == 0:
        left = [step]

        def dying(function):
            def call(*arguments, **options):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **options)

            return call

        for name in STEPS:
            setattr(os, name, dying(getattr(os, name)))
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL)
    return status != 0


@pytest.mark.default_cases("True")
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_kill_leaves_the_old_pair_the_new_pair_or_an_unfinished_run(tmp_path, overwrite):
    seen, step, is_killed = set(), 0, True
    while is_killed:
        folder = tmp_path / str(step)
        if overwrite:
            folder.mkdir()
            saver("old")(*(folder / name for name in NAMES))
        is_killed = killed_at(step, lambda folder=folder: search(folder, "new", overwrite))
        seen.add(runs(folder))
        if runs(folder) not in {("old", "old"), ("new", "new")}:
            assert runs(folder)[1] is None, "who sees assignment.json sees the network that belongs to it"
        if overwrite and runs(folder)[1] is None:
            assert results(folder).are_written, "what replaces the old pair is whole before that is touched"
        search(folder, "new", overwrite)
        assert runs(folder) == ("new", "new")
        assert {path.name for path in folder.iterdir()} == {*NAMES, "backup"}, "nothing half-written stays"
        step += 1
    old = {("old", "old"), ("old", None)} if overwrite else {(None, None)}
    assert seen == {*old, ("new", None), ("new", "new")} and step > 20


@pytest.mark.parametrize("name", NAMES)
def test_files_are_replaced_on_demand_alone(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(FileExistsError, match=f"{name}' exists. Pass overwrite=True"), results(tmp_path).locked():
        pass
    (tmp_path / name).unlink()
    found = results(tmp_path)
    with pytest.raises(FileExistsError, match="overwrite=True"), found.locked():
        found.write(saver("new"))
        (tmp_path / name).write_text("mine")  # meanwhile
        found.publish()
    assert (tmp_path / name).read_text() == "mine"
    search(tmp_path, "never trained again", overwrite=True)
    assert runs(tmp_path) == ("new", "new")


def test_without_hard_links_they_are_copied(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    search(tmp_path, "new")
    assert runs(tmp_path) == ("new", "new")


def test_a_full_disk_does_not_lose_the_network(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    found = results(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left.*The network and its bits are in '.*' instead") as raised:
            found.write(saver("new"))
    assert raised.value.filename == str(tmp_path / "backup" / "epoch-00010" / "finetuned-00005")
    rescue = pathlib.Path(raised.value.strerror.split("'")[-2])
    assert runs(rescue) == ("new", "new") and not found.are_written
    for path in rescue.iterdir():
        path.unlink()
    rescue.rmdir()


def test_a_folder_is_made_for_files_alone(tmp_path):
    with pytest.raises(ValueError, match="budget"), results(tmp_path / "new").locked():
        raise ValueError("the budget cannot be met")
    assert os.listdir(tmp_path) == []
    with results(tmp_path).locked(), pytest.raises(ValueError, match="Another process searches in the folder"):
        with results(tmp_path).locked():
            pass
    assert tmp_path.exists()
