import functools
import json
import re

import numpy as np
import pytest

import tfmp
from tests.compression.digits import trained_digits
from tests.reports.page.html_page_test import Page
from tfmp import cli
from tfmp.compression.labelled_samples import LabelledSamples
from tfmp.compression.workshop import Workshop
from tfmp.reports import RunReport
from tfmp.tflite.interpreter import Interpreter


@pytest.fixture(scope="module")
def digits():
    return trained_digits()


pytestmark = pytest.mark.compiled
FILES = {"assignment.json", "fixed.keras", "model.tflite", "overlays", "report.html", "report.json", "run.json"}


def names_in(folder):
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
def loose(digits, tmp_path_factory):
    """The folder and the report of a wish that 8 bits meet."""
    folder = tmp_path_factory.mktemp("loose")
    return folder, tfmp.compress(*digits, folder, flash_bytes=50_000, epochs=0, verbose=0)


def test_8_bits_are_taken_where_they_suffice(loose, digits):
    folder, report = loose
    model, data = digits
    assert report.is_met and [attempt.way for attempt in report.attempts] == ["int8"]
    assert names_in(folder) == FILES
    assert set(report.bits.values()) == {(8, 8)} and not report.sensitivities
    assert report.size_bytes == (folder / "model.tflite").stat().st_size
    fixed = tfmp.load_model(folder / "fixed.keras", compile=False)
    assert report.operators and not report.unequal_operators
    x_half, y_half = LabelledSamples.of(data, model).test
    assert report.num_samples == len(y_half) == len(data[1][1]) // 2
    for name, network in {"float": model, "fixed": fixed}.items():
        assert report.accuracies[name] == np.mean(network.predict(x_half, verbose=0).argmax(-1) == y_half)
    assert report.accuracies["float"] > 0.8 and abs(report.accuracies["file"] - report.accuracies["fixed"]) < 0.05


def test_the_report_is_what_its_files_say(loose):
    folder, report = loose
    assert json.loads(report.to_json()) == json.loads((folder / "report.json").read_text())
    page = Page((folder / "report.html").read_text())
    rows = page.tables["Bytes by layer"][1:]
    inspected = {layer.name: layer for layer in tfmp.inspect(folder / "model.tflite").layers}
    assert {row[0]: row[3] for row in rows} == {name: layer.size_bytes for name, layer in inspected.items()}
    simulated = tfmp.simulate(tfmp.load_model(folder / "fixed.keras", compile=False), batch=16)
    energy = {row.name: row.energy_nj["total"] / 16 for row in simulated.layers if row.modelled}
    assert {row[0]: row[2] for row in page.tables["Energy and time by layer"][1:]} == pytest.approx(energy)


def test_overlays_name_operators_of_the_file(loose):
    folder, report = loose
    paths = list((folder / "overlays").iterdir())
    assert {path.stem for path in paths} == {"weight_bits", "input_bits", "bytes", "parity"}, "nothing was harmed"
    results = {path.stem: json.loads(path.read_text())["results"] for path in paths}
    tensors = set(Interpreter((folder / "model.tflite").read_bytes()).readable_tensors)
    assert all(set(each) <= tensors for each in results.values())
    assert set(results["parity"]) >= {operator.name for operator in report.operators}
    assert {each["value"] for each in results["parity"].values()} == {1}
    stored = {layer.name: layer.file_bytes for layer in report.layers if layer.file_bytes}
    assert sum(each["value"] for each in results["bytes"].values()) >= sum(stored.values())


def test_branches_are_connected(loose):
    reads = {layer.name: set(layer.inputs) for layer in loose[1].layers}
    assert reads == {
        "image": set(),
        "stem": {"image"},
        "branch": {"stem"},
        "total": {"stem", "branch"},
        "body": {"total"},
        "head": {"body"},
    }


def test_the_same_call_again_does_nothing(loose, digits, monkeypatch):
    folder, report = loose
    monkeypatch.setattr(Workshop, "at_8_bits", None)
    again = tfmp.compress(*digits, folder, flash_bytes=50_000, epochs=0, verbose=0)
    assert json.loads(again.to_json()) == json.loads(report.to_json())


def test_another_run_is_not_replaced(loose, digits):
    folder, _ = loose
    before = (folder / "report.json").read_bytes()
    with pytest.raises(ValueError, match=r"another run: flash_bytes: 50000 then, 40000 now.*overwrite=True"):
        tfmp.compress(*digits, folder, flash_bytes=40_000, epochs=0, verbose=0)
    assert (folder / "report.json").read_bytes() == before


def test_files_of_nobody_are_not_replaced(digits, tmp_path):
    (tmp_path / "fixed.keras").write_text("mine")
    with pytest.raises(FileExistsError):
        tfmp.compress(*digits, tmp_path, flash_bytes=50_000, epochs=0, verbose=0)
    assert (tmp_path / "fixed.keras").read_text() == "mine" and names_in(tmp_path) == {"fixed.keras"}
    (tmp_path / "fixed.keras").rename(tmp_path / "work")
    with pytest.raises(FileExistsError, match="of something else"):
        tfmp.compress(*digits, tmp_path, flash_bytes=50_000, epochs=0, verbose=0, overwrite=True)
    assert names_in(tmp_path) == {"work"}


def test_few_bit_operations_take_training(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("tfmp.compression.wish.SHOWN_DROP", -1.0)  # nothing is good enough: every way is tried
    monkeypatch.setattr(Workshop, "_fit", fit_a_little)
    short = functools.partial(tfmp.Reconstruction, iterations=2)
    monkeypatch.setattr("tfmp.compression.workshop.Reconstruction", short)
    report = tfmp.compress(*digits, tmp_path / "out", bitops_like=(3, 4), epochs=1, verbose=0)
    ways = [attempt.way for attempt in report.attempts]
    assert ways == ["int8", "mixed", "rounding", "fine-tuning", "search"]
    assert report.attempts[0].verdict.startswith("skipped") and "taken" in "".join(a.verdict for a in report.attempts)
    model, _ = digits
    fixed = tfmp.load_model(tmp_path / "out" / "fixed.keras", compile=False)
    uniform = tfmp.relax(model, weight_bits=(3,), activation_bits=(4,))
    assert report.is_met and tfmp.cost(fixed, "bitops") <= tfmp.cost(uniform, "bitops")
    assert names_in(tmp_path / "out") == FILES | {"sensitivity.json"}
    assert report.forecast.rows and set(report.sensitivities) == {"branch", "body"}


def fit_a_little(workshop, model, optimizer, callback):
    """As it is, on 64 samples; two steps are not worth compiling."""
    model.compile(optimizer=optimizer, loss=workshop.loss, metrics=["accuracy"], run_eagerly=True)
    x, y = workshop.samples.train
    return model.fit(x[:64], y[:64], batch_size=32, epochs=1, callbacks=[callback], verbose=0).history


def test_a_wish_that_cannot_be_met_ends_with_the_closest(digits, tmp_path, capsys, monkeypatch):
    """Also where the run is interrupted and resumed: what is in its folder is not computed again."""
    model, data = digits
    model.save(tmp_path / "tiny.keras")
    (x, y), (x_test, y_test) = data
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    paths = [str(tmp_path / name) for name in ("tiny.keras", "data.npz")]
    out = tmp_path / "out"
    command = ["compress", *paths, "--output", str(out), "--flash", "1k", "--no_training", "--json"]
    command += ["--max_accuracy_drop", "1"]

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tfmp.compression.compress.compare_tflite", interrupted)
        assert cli.main(command) == 130
    assert "sensitivities" in capsys.readouterr().err
    assert names_in(out) == {"run.json", "work"}
    files = {path: path.read_bytes() for path in (out / "work").glob("*/model.tflite")}
    assert out / "work" / "mixed-0" / "model.tflite" in files
    assert cli.main([*command, "--seed", "1"]) == 1
    assert "seed: 0 then, 1 now" in capsys.readouterr().err
    monkeypatch.setattr(Workshop, "post_trained", interrupted)
    assert cli.main(command) == 3
    printed = capsys.readouterr()
    report = RunReport.from_json(json.dumps(json.loads(printed.out)["report"]))
    assert not report.is_met and names_in(out) == FILES | {"sensitivity.json"}
    assert (out / "model.tflite").read_bytes() in files.values()
    # Kernels this small take as many bytes at any bits, so that the closest file may be that of 8 bits.
    assert report.size_bytes <= 1.001 * min(attempt.size_bytes for attempt in report.attempts if attempt.size_bytes)
    assert report.size_bytes == (out / "model.tflite").stat().st_size > 1024
    (least,) = (re.search(r"about ([\d,]+) bytes", text)[1] for text in report.advice if "fewer channels" in text)
    assert int(least.replace(",", "")) <= report.size_bytes
    assert report.command.startswith("tfmp compress ") and "--flash 1k" in report.command
    assert json.loads((out / "run.json").read_text())["command"] == report.command
    assert cli.main(["report", str(out)]) == 1, "the page is there already"
    assert cli.main(["report", str(out), "--overwrite"]) == 0


@pytest.mark.slow  # as below, where nothing smaller exists
def test_bits_that_save_no_byte_are_not_tried(digits, tmp_path):
    report = tfmp.compress(*digits, tmp_path, max_accuracy_drop=0.1, epochs=0, verbose=0)
    assert [attempt.way for attempt in report.attempts] == ["int8"] and report.is_met


@pytest.mark.slow  # several networks; the parts are tested above
def test_the_smallest_accurate_file_is_found(tmp_path):
    report = tfmp.compress(*trained_digits(filters=24), tmp_path, max_accuracy_drop=0.1, epochs=0, verbose=0)
    sizes = {attempt.size_bytes: attempt for attempt in report.attempts if attempt.size_bytes}
    int8 = report.attempts[0]
    accurate = [size for size, attempt in sizes.items() if attempt.verdict.startswith("meets everything")]
    assert report.size_bytes == min(accurate) < int8.size_bytes


@pytest.mark.slow  # as above, in the interpreter of microcontrollers
def test_memory_of_a_microcontroller(digits, tmp_path):
    options = {"flash_bytes": 14_000, "ram_bytes": 20_000, "target": "micro", "epochs": 0, "verbose": 0}
    report = tfmp.compress(*digits, tmp_path, **options)
    assert {check.quantity for check in report.checks} == {"flash", "RAM"}
    assert report.is_met and not report.unequal_operators
    results = json.loads((tmp_path / "overlays" / "weight_bits.json").read_text())["results"]
    assert {name: each["value"] for name, each in results.items()} == {name: w for name, (w, _) in report.bits.items()}


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({}, "Expected something to aim at"),
        ({"flash_bytes": 0}, "`flash_bytes` must be a positive integer"),
        ({"ram_bytes": 1000}, 'Give target="micro"'),
        ({"bitops_like": (4,)}, "`bitops_like` must be two integers"),
        ({"bitops_like": (4, 9)}, "`bitops_like` must be two integers from 1 to 8"),
        ({"max_accuracy_drop": 1.5}, "`max_accuracy_drop` must be"),
        ({"flash_bytes": 9, "target": "phone"}, "`target` must be one of"),
        ({"flash_bytes": 9, "epochs": -1}, "`epochs` must be"),
        ({"flash_bytes": 9, "learning_rate": 0}, "`learning_rate` must be"),
        ({"flash_bytes": 9, "verbose": 2}, "`verbose` must be"),
    ],
)
def test_a_bad_wish_is_refused_before_any_work(digits, tmp_path, wish, message):
    with pytest.raises(ValueError, match=message):
        tfmp.compress(*digits, tmp_path / "out", **wish)
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_no_folder_is_refused(digits, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OSError, match="Choose another output folder"):
        tfmp.compress(*digits, tmp_path / "out", flash_bytes=50_000, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Give --flash, --ram, --bitops or --max_accuracy_drop."),
        (["--ram", "64k"], "--target litert. Use micro."),
        (["--flash", "1k"], "There is no file"),
    ],
)
def test_the_command_refuses_in_one_line(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["compress", "missing.keras", "missing.npz", *arguments]) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())
