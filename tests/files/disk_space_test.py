import errno
import os

import pytest

from tfmp.files import disk_space
from tfmp.files.disk_space import check_space


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

    monkeypatch.setattr(disk_space.tempfile, "TemporaryFile", refuse)
    with pytest.raises(PermissionError, match="Cannot write: Permission denied. Make room") as raised:
        check_space(tmp_path)
    assert raised.value.filename == str(tmp_path)
