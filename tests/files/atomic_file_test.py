"""Atomic writes of files and folders: beside the final name, synchronized and renamed; and the space for them."""

import errno
import os
import pathlib
import signal
import stat
import subprocess
import sys

import pytest

from tfmp.files import atomic_file
from tfmp.files.atomic_file import check_space, new_folder, replacement, write_atomically


def test_writes_text_and_bytes_and_leaves_nothing_beside(tmp_path):
    write_atomically(tmp_path / "text", "grün\n")
    write_atomically(str(tmp_path / "bytes"), b"\x00\r\n")
    assert (tmp_path / "text").read_bytes() == "grün\n".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\x00\r\n"
    assert sorted(os.listdir(tmp_path)) == ["bytes", "text"]


def test_existing_file_is_replaced_only_on_demand(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    write_atomically(path, "new", overwrite=True)
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["report.json"]


def test_permissions_follow_the_umask_or_the_replaced_file(tmp_path):
    path = tmp_path / "file"
    before = os.umask(0o022)
    try:
        write_atomically(path, "1")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    path.chmod(0o600)
    write_atomically(path, "2", overwrite=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_symbolic_link_is_followed(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_atomically(tmp_path / "link", "new", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, "new", overwrite=True)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_bad_paths_and_content(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        write_atomically(tmp_path / "missing" / "file", "")
    with pytest.raises(IsADirectoryError, match="folder"):
        write_atomically(tmp_path, "")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="Expected a folder"):
        write_atomically(tmp_path / "file" / "child", "")
    with pytest.raises(TypeError, match="`content` must be text or bytes. Received: 1"):
        write_atomically(tmp_path / "other", 1)


def test_unwritable_folder(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError, match="Cannot write: Permission denied. Choose another path"):
        write_atomically(tmp_path / "file", "")


def test_a_file_that_appears_meanwhile_stays(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(FileExistsError, match="overwrite=True"), replacement(path) as beside:
        path.write_text("of somebody else")
        pathlib.Path(beside).write_text("ours")
    assert path.read_text() == "of somebody else"
    assert os.listdir(tmp_path) == ["file"]


def test_without_hard_links_it_is_renamed(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    write_atomically(tmp_path / "file", "new")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_atomically(tmp_path / "file", "newer")
    assert (tmp_path / "file").read_text() == "new"
    assert os.listdir(tmp_path) == ["file"]


def test_file_and_folder_are_on_the_disk_before_it_returns(tmp_path, monkeypatch):
    synchronized = []
    fsync = os.fsync

    def record(descriptor):
        synchronized.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc to tell what a descriptor is of")
    monkeypatch.setattr(os, "fsync", record)
    write_atomically(tmp_path / "file", "new")
    file, folder = synchronized
    assert os.path.dirname(file) == folder == str(tmp_path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_disk_without_room_is_named(tmp_path, monkeypatch, number):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Cannot write: .* choose another path|Choose another path") as raised:
        write_atomically(path, "new", overwrite=True)
    assert raised.value.filename == str(path) and raised.value.errno == number
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


_KILLED = """
import sys, time
from tfmp.files.atomic_file import replacement
with replacement(sys.argv[1], True) as beside:
    open(beside, "w").write("half")
    print(flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    process = subprocess.Popen([sys.executable, "-c", _KILLED, str(path)], stdout=subprocess.PIPE)
    process.stdout.readline()
    (leftover,) = tmp_path.glob(".file.*.tmp")
    others = [".file.0123.tmp", ".file.tmp", f".file.00000000-{process.pid}-01234567.tmp", "file.tmp"]
    for name in others:  # not of this library, or of another machine
        (tmp_path / name).write_text("other")
    write_atomically(path, "new", overwrite=True)
    assert leftover.exists(), "its process is at work"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.read_text() == "new"
    write_atomically(path, "newer", overwrite=True)
    assert path.read_text() == "newer"
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "file"])


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


def test_there_is_room_and_nothing_stays(tmp_path):
    check_space(tmp_path / "new" / "folder", 100_000)
    assert os.listdir(tmp_path / "new" / "folder") == []


def test_the_folder_and_what_it_lacks_are_named(tmp_path):
    with pytest.raises(OSError, match="Cannot write: no space left for about 1,152,921,504,606.8 MB. Buy") as raised:
        check_space(tmp_path, 1 << 60, way_out="Buy a larger disk")
    assert raised.value.errno == errno.ENOSPC and raised.value.filename == str(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="Cannot write: Not a directory. Make room, or choose another path"):
        check_space(tmp_path / "file" / "below")

    def refuse(*arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(atomic_file.tempfile, "TemporaryFile", refuse)
    with pytest.raises(PermissionError, match="Cannot write: Permission denied. Make room") as raised:
        check_space(tmp_path)
    assert raised.value.filename == str(tmp_path)
