import errno
import os
import pathlib

import pytest

from tfmp.files.atomic_folder import new_folder


def write(path, text="new"):
    with new_folder(path) as beside:
        (pathlib.Path(beside) / "one").write_text(text)
        assert not pathlib.Path(path).exists()


def test_it_is_there_when_it_is_complete_and_on_the_disk(tmp_path, monkeypatch):
    synchronized, fsync = [], os.fsync

    def record(descriptor):
        synchronized.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc to tell what a descriptor is of")
    monkeypatch.setattr(os, "fsync", record)
    (tmp_path / "folder.tmp").mkdir()
    (tmp_path / "folder.tmp" / "left").write_text("by a killed process")
    write(tmp_path / "folder")
    assert os.listdir(tmp_path) == ["folder"] and os.listdir(tmp_path / "folder") == ["one"]
    assert synchronized == ["one", "folder.tmp", tmp_path.name]


def test_an_error_leaves_nothing_and_names_the_folder(tmp_path):
    with pytest.raises(
        OSError, match="Cannot write: No space left on device. Make room, or choose another path"
    ) as raised:
        with new_folder(tmp_path / "folder"):
            raise OSError(errno.ENOSPC, "a page of h5py")
    assert raised.value.filename == str(tmp_path / "folder") and os.listdir(tmp_path) == []
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "folder"):
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_a_folder_with_files_is_not_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("mine")
    with pytest.raises(OSError, match="not empty"), new_folder(tmp_path / "folder"):
        pass
    assert (tmp_path / "folder" / "thesis.txt").read_text() == "mine"
