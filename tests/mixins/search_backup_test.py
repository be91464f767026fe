import errno
import gc
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tfmp.mixins.search_backup import SearchBackup
from tfmp.mixins.search_identity import with_quantizer_options

IDENTITY = {"seed": 0, "model": {"units": (4, 5)}}
SHAPES = [(2,), (3, 1)]


def arrays(epoch):
    return [np.full(shape, float(epoch)) for shape in SHAPES]


@pytest.fixture
def backup(tmp_path):
    """The backup of a search of three epochs."""
    backup = SearchBackup(tmp_path / "backup")
    for epoch in (1, 2, 3):
        backup.save(epoch, arrays(epoch), identity=IDENTITY, state={"value": epoch / 2})
    return backup


def load(backup, **arguments):
    return backup.load(SHAPES, **{"identity": IDENTITY, **arguments})


def test_the_last_two_epochs_are_kept(backup):
    assert sorted(os.listdir(backup.folder)) == ["epoch-00002", "epoch-00003"]
    epoch, variables, state = load(backup)
    assert epoch == 3 and state == {"value": 1.5}
    for found, expected in zip(variables, arrays(3), strict=True):
        np.testing.assert_array_equal(found, expected)


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    """A byte of the first array is another: its checksum is wrong."""
    content = bytearray(path.read_bytes())
    content[130] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "half JSON": ("search.json", half),
    "empty JSON": ("search.json", lambda path: path.write_bytes(b"")),
    "no object": ("search.json", lambda path: path.write_text("[1, 2]")),
    "no text": ("search.json", lambda path: path.write_bytes(b"\xff\xfe{}")),
    "nothing in it": ("search.json", lambda path: path.write_text('{"format": "tfmp.search", "version": 1}')),
    "wrong types": (
        "search.json",
        lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), "epoch": "three"})),
    ),
    "another format": ("search.json", lambda path: path.write_text('{"format": "physics"}')),
    "no JSON": ("search.json", os.unlink),
    "half zip": ("variables.npz", half),
    "empty zip": ("variables.npz", lambda path: path.write_bytes(b"")),
    "wrong byte": ("variables.npz", flip),
    "no zip": ("variables.npz", os.unlink),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_epoch_is_named_and_the_one_before_goes_on(backup, tmp_path, kind):
    name, damage = DAMAGE[kind]
    damage(tmp_path / "backup" / "epoch-00003" / name)
    with pytest.warns(UserWarning, match="epoch-00003 is damaged .*resumes from epoch-00002"):
        epoch, variables, state = load(backup)
    assert epoch == 2 and state == {"value": 1.0}
    np.testing.assert_array_equal(variables[0], arrays(2)[0])
    damage(tmp_path / "backup" / "epoch-00002" / name)
    message = "epoch-00003 is damaged.*epoch-00002 is damaged.*No epoch of the backup.*is intact; give another"
    with pytest.raises(ValueError, match=message):
        load(backup)
    assert len(backup.epochs()) == 2, "nothing is removed"
    backup.save(3, arrays(3), identity=IDENTITY, state={})
    assert load(backup)[0] == 3


def test_another_search_is_told_how_it_differs(backup):
    other = {"seed": 1, "model": {"units": (4, 6), "depth": 2}}
    message = (
        r"another search. seed: 0 then, 1 now; model.units: \[4, 5\] then, \[4, 6\] now; model.depth: 'nothing' then, "
        "2 now. Resume it with the arguments of its start; give another `backup_dir`, or remove the folder"
    )
    with pytest.raises(ValueError, match=message):
        load(backup, identity=other)
    with pytest.raises(ValueError, match="another search. the shapes of the variables"):
        backup.load([(2,)], identity=IDENTITY)
    with pytest.raises(ValueError, match="has 3 complete epochs. Expected 2 or fewer"):
        load(backup, epochs=2)
    assert load(backup, epochs=3)[0] == load(backup, epochs=9)[0] == 3


def identity_with(quantizer):
    return {"model": {"layers": {"conv2d": {"filters": 8, "quantizer": quantizer}, "relu": {}}}}


@pytest.mark.parametrize("saved", ["lsq", ["lsq", "moving_range"]])
def test_a_backup_of_version_0_1_0_goes_on_with_one_step_for_each_kernel(tmp_path, saved):
    backup = SearchBackup(tmp_path / "backup")
    backup.save(1, arrays(1), identity=identity_with(saved), state={})

    def resumed_as(granularity):
        names = [f"lsq(granularity={granularity!r})", "moving_range"]
        identity = identity_with(names[0] if saved == "lsq" else names)
        return load(backup, identity=identity, upgrade=with_quantizer_options)

    assert resumed_as("tensor")[0] == 1
    with pytest.raises(ValueError, match=r"conv2d.quantizer: .*granularity='tensor'.* then, .*granularity=.* now"):
        resumed_as("channel")


def test_overwriting_removes_the_epochs_of_another_search_alone(backup, tmp_path):
    (tmp_path / "backup" / "notes.txt").write_text("mine")
    again = SearchBackup(tmp_path / "backup", overwrite=True)
    assert load(again)[0] == 3, "the same search goes on"
    assert load(again, identity={"seed": 1}) is None
    again.release()
    assert os.listdir(backup.folder) == ["notes.txt"]


def test_numbers_that_are_none_are_not_saved(backup):
    with pytest.raises(ValueError, match="not JSON compliant"):
        backup.save(4, arrays(4), identity=IDENTITY, state={"value": float("nan")})
    assert backup.epochs() == ["epoch-00003", "epoch-00002"]


def test_a_relative_folder_stays_where_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    backup = SearchBackup("backup")
    monkeypatch.chdir("/")
    backup.save(1, arrays(1), identity=IDENTITY, state={})
    assert (tmp_path / "backup" / "epoch-00001").is_dir()


def test_folders_of_somebody_else_are_no_epochs(tmp_path):
    (tmp_path / "epoch-00001").mkdir()
    (tmp_path / "epoch-00001" / "photo.jpg").write_text("mine")
    backup = SearchBackup(tmp_path, overwrite=True)
    assert load(backup) is None
    with pytest.raises(OSError, match="not empty"):
        backup.save(1, arrays(1), identity=IDENTITY, state={})
    backup.release()
    backup.remove()
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["epoch-00001", "epoch-00001/photo.jpg"]


def test_a_disk_that_fills_up_keeps_the_epochs_before(backup, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(np, "savez", full)
        with pytest.raises(OSError, match="Cannot write: No space left.*Make room.*epoch-00004"):
            backup.save(4, arrays(4), identity=IDENTITY, state={})
    assert sorted(os.listdir(backup.folder)) == ["epoch-00002", "epoch-00003"]
    assert load(backup)[0] == 3
    monkeypatch.setattr("tfmp.files.atomic_file.os.posix_fallocate", full)
    with pytest.raises(ValueError, match="Received: .*backup.*no space left for about 0.0 MB. Make room"):
        load(backup)


def test_one_process_at_a_time_and_in_it_the_search_begun_last(backup):
    load(backup)
    child = f"""
import sys
from tfmp.mixins.search_backup import SearchBackup
SearchBackup(sys.argv[1]).load({SHAPES}, identity={IDENTITY})
"""

    def other_process():
        command = [sys.executable, "-c", child, backup.folder]
        return subprocess.run(command, capture_output=True, text=True, check=False).stderr

    assert f"Another process searches in the folder {backup.folder!r}. Wait for it, or end it." in other_process()
    again = SearchBackup(backup.folder)  # that before was interrupted, and nobody ended it
    assert load(again)[0] == 3
    with pytest.raises(ValueError, match="Another search of this process has taken over the backup in"):
        backup.save(4, arrays(4), identity=IDENTITY, state={})
    backup.release()
    assert "Another process" in other_process()
    again.release()
    assert other_process() == ""
    load(SearchBackup(backup.folder))  # nobody keeps it
    gc.collect()
    assert other_process() == ""


def test_a_change_of_the_current_folder_does_not_split_a_backup(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    backup = SearchBackup("backup")
    backup.save(1, arrays(1), identity=IDENTITY, state={})
    monkeypatch.chdir("elsewhere")
    backup.save(2, arrays(2), identity=IDENTITY, state={})
    assert sorted(os.listdir(tmp_path / "backup")) == ["epoch-00001", "epoch-00002"]
