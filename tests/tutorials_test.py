"""The tutorials run from top to bottom: one of them in a few steps, all of them as they are if slow tests run.

Three of these run as notebooks, each in a kernel of its own.
"""

import re

import keras
import pytest

from tools.tutorial_notebooks import FOLDER, notebook, tutorial_names

NOTEBOOKS = ("first_file", "mobilenet_bytes", "first_microcontroller")
PERCENT = r"([\d.]+)%$"


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
    # After one epoch of few steps, classes are close: roundings decide between them. The slow test trains.
    shorter.append((r"(?<=reference=model)", ", tolerance=tfmp.Tolerance(trained_db=None, trained_top1=None)"))
    names = run("first_file", monkeypatch, tmp_path, shorter)
    printed = capsys.readouterr().out
    assert set(names["assignment"]) == {"conv2", "conv3", "hidden"}
    assert "8 of 8 compute every code of the folded model" in printed
    assert keras.backend.is_keras_tensor(names["fixed"].inputs[0]) and (tmp_path / "digits.tflite").exists()


def printed_by_notebook(name, tmp_path):
    """Returns what the cells of a tutorial print; a cell that fails raises."""
    nbclient = pytest.importorskip("nbclient")
    found = notebook(name)
    nbclient.NotebookClient(found, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in found.cells if cell.cell_type == "code" for output in cell.outputs]
    return "".join(output.text for output in outputs if output.get("name") == "stdout")


def numbers(text):
    return [int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", text)]


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_runs_as_a_notebook(name, tmp_path):
    printed = printed_by_notebook(name, tmp_path)
    if name == "first_file":
        shares = re.findall(f"^(?:float model|file) +{PERCENT}", printed, re.MULTILINE)
        assert len(shares) == 2 and min(map(float, shares)) > 90
    elif name == "mobilenet_bytes":
        (limit,) = re.findall(r"budget: ([\d,]+) bytes$", printed, re.MULTILINE)
        rows = re.findall(rf"^(\w+) +([\d,]+) bytes {PERCENT}", printed, re.MULTILINE)
        assert [row[0] for row in rows] == ["uniform", "depthwise_8", "ilp", "trained"]
        assert all(numbers(row[1]) <= numbers(limit) for row in rows) and float(rows[-1][2]) > 90
    else:
        (used,) = re.findall(r"^used: (.*) of RAM$", printed, re.MULTILINE)
        source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
        limits = [int(limit) for limit in re.findall(r"limit=([\d_]+)", source)]
        flash, ram = numbers(used)
        assert flash <= limits[0] and ram <= 1.01 * limits[1]
        names = {path.name for path in tmp_path.iterdir()}
        assert {"digits_micro.cc", "digits_micro.h", "digits_micro.tflite"} <= names


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in tutorial_names() if name not in NOTEBOOKS])
def test_runs_as_a_script(name, monkeypatch, tmp_path, capsys):
    run(name, monkeypatch, tmp_path)
    printed = capsys.readouterr().out
    if name == "budgets_with_keras_tuner":
        assert "6 trials" in printed and (tmp_path / "front.html").exists()
        assert "on the front: " in printed
    elif name == "edmips_in_small":
        rows = re.findall(rf"^(eta|uniform) (\S+) +([\d,]+) bit operations {PERCENT}", printed, re.MULTILINE)
        costs = {(kind, which): numbers(cost)[0] for kind, which, cost, _ in rows}
        assert costs["eta", "0.1"] <= costs["eta", "0.01"] <= costs["eta", "0.001"]
        assert costs["uniform", "W2A2"] < costs["uniform", "W3A3"] < costs["uniform", "W4A4"]
    else:
        float_share, *_, file_share = map(float, re.findall(f"^(?:float model|file) +{PERCENT}", printed, re.MULTILINE))
        assert float_share > 90 and file_share > float_share - 10
