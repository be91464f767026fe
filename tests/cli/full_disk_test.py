"""`tfmp search` and `tfmp export` on a disk that is full, a small one in memory."""

import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

import tfmp
from tests.tuner import tiny_experiment as tiny
from tfmp import cli
from tfmp.cli.search_results import SearchResults


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A disk of 64 kB."""
    disk = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of about 30 kB, the same fixed to 2 bits, and data."""
    folder = tmp_path_factory.mktemp("models")
    (x_train, y_train), _ = tiny.data()
    np.savez(folder / "data.npz", x_train=x_train, y_train=y_train)
    model = tiny.build(width=10)
    model.save(folder / "model.keras")
    relaxed = tfmp.relax(model, weight_bits=(2,), activation_bits=(2,), calibration=x_train)
    tfmp.fix(relaxed, tfmp.discretize(relaxed), calibration=x_train).save(folder / "fixed.keras")
    return folder


def test_a_search_is_refused_before_training(folder, disk, capsys):
    output = disk / "output"
    given = ["search", str(folder / "model.keras"), str(folder / "data.npz"), str(output), "--loss=logits"]
    assert cli.main(given) == 1
    printed = capsys.readouterr()
    assert "no space left for about" in printed.err and str(output) in printed.err and "Epoch" not in printed.out
    assert not output.exists()


def test_an_export_leaves_the_old_file(folder, disk, capsys):
    path = disk / "model.tflite"
    path.write_bytes(b"old")
    (disk / "rest").write_bytes(bytes(52_000))
    try:
        assert cli.main(["export", str(folder / "fixed.keras"), str(path), "--overwrite"]) == 1
        assert f"Make room, or choose another path: {str(disk)!r}" in capsys.readouterr().err
        assert path.read_bytes() == b"old" and sorted(os.listdir(disk)) == ["model.tflite", "rest"]
    finally:
        (disk / "rest").unlink()
        path.unlink()


def test_a_trained_network_goes_where_there_is_room(disk):
    results = SearchResults(disk, disk / "backup" / "epoch-00001", 1)

    def save(*paths):
        for path in paths:
            pathlib.Path(path).write_bytes(bytes(50_000))

    with pytest.raises(OSError, match="No space left.*The network and its bits are in '.*' instead") as raised:
        results.write(save)
    rescue = pathlib.Path(raised.value.strerror.split("'")[-2])
    assert {path.stat().st_size for path in rescue.iterdir()} == {50_000}
    shutil.rmtree(rescue)
    assert not results.are_written and [path.name for path in disk.rglob("*") if path.is_file()] == []
