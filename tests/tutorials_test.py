"""The tutorials run from top to bottom: one of them in a few steps, all of them as they are if slow tests run."""

import pathlib
import re

import keras
import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "docs" / "tutorials"


def run(name, monkeypatch, tmp_path, shorter=()):
    monkeypatch.chdir(tmp_path)
    program = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    for pattern, replacement in shorter:
        program, count = re.subn(pattern, replacement, program)
        assert count
    names = {"__name__": name}
    exec(compile(program, str(FOLDER / f"{name}.py"), "exec"), names)
    return names


def test_the_first_file_in_a_few_steps(monkeypatch, tmp_path, capsys):
    shorter = [(r"epochs=\d+", "epochs=1"), ("batch_size=32", "batch_size=500"), (r"x_test\b(?=, ref)", "x_test[:8]")]
    names = run("first_file", monkeypatch, tmp_path, shorter)
    printed = capsys.readouterr().out
    assert set(names["assignment"]) == {"conv2", "conv3", "hidden"}
    assert "8 of 8 compute every code of the folded model" in printed
    assert keras.backend.is_keras_tensor(names["fixed"].inputs[0]) and (tmp_path / "digits.tflite").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_runs_as_it_is(name, monkeypatch, tmp_path, capsys):
    names = run(name, monkeypatch, tmp_path)
    printed = capsys.readouterr().out
    if name == "first_file":
        shares = [float(share) for share in re.findall(r"^(?:float model|file) +([\d.]+)%$", printed, re.MULTILINE)]
        assert len(shares) == 2 and min(shares) > 90
    elif name == "mobilenet_bytes":
        rows = re.findall(r"^(\w+) +([\d,]+) bytes ([\d.]+)%$", printed, re.MULTILINE)
        assert [row[0] for row in rows] == ["uniform", "depthwise_8", "ilp", "trained"]
        assert all(int(row[1].replace(",", "")) <= names["budget"].limit for row in rows)
        assert float(rows[-1][2]) > 90
    else:
        (used,) = re.findall(r"^used: ([\d,]+) bytes of flash, ([\d,]+) bytes of RAM$", printed, re.MULTILINE)
        flash, ram = (int(number.replace(",", "")) for number in used)
        assert flash <= names["budgets"][0].limit and ram <= 1.01 * names["budgets"][1].limit
        assert {"digits_micro.cc", "digits_micro.h", "digits_micro.tflite"} <= {
            path.name for path in tmp_path.iterdir()
        }
