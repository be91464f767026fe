import os
import stat

import pytest

from tfmp.types.atomic_file import write_atomically


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
    with pytest.raises(PermissionError, match="Cannot write to the folder"):
        write_atomically(tmp_path / "file", "")
