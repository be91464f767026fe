"""No command runs code of a model file, and none prints what a framework says at its start."""

import argparse
import os
import pathlib
import subprocess
import sys
import textwrap
import warnings

import keras
import numpy as np
import pytest
import tf_keras

from tests import golden_files
from tests.bindings import hostile_models as hostile
from tfmp import cli
from tfmp.cli import tune_width

COMMANDS = {
    "inspect": ["inspect", "{model}"],
    "compress": ["compress", "{model}", "{data}", "--output", "{out}", "--flash", "9k"],
    "search": ["search", "{model}", "{data}", "{out}"],
    "tune": ["tune", "{model}", "{data}", "{out}"],
    "tune of widths": ["tune", "{model}", "{data}", "{out}", "--strategy", "dual_precision"],
    "export": ["export", "{model}", "{out}.tflite"],
    "compare": ["compare", "{model}", "{out}.tflite", "{data}"],
    "simulate": ["simulate", "{model}", "--uniform", "2,2"],
    "report": ["report", "{model}"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Hostile models of several containers, their marker, and data."""
    folder = tmp_path_factory.mktemp("trust")
    for name, framework, container in (
        ("lambda", tf_keras, "hdf5"),
        ("hidden", tf_keras, "hdf5 named .keras"),
        ("saved", tf_keras, "saved_model"),
        ("keras3", keras, "zip"),
    ):
        model = hostile.lambda_model(framework, "functional", folder / "marker")
        hostile.save(model, folder / name, container).rename(folder / f"{name}.keras")
    (folder / "marker").unlink(missing_ok=True)
    x, y = np.zeros((8, 4), np.float32), np.arange(8) % 2
    np.savez(folder / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    return folder


@pytest.mark.parametrize("model", ["lambda", "hidden", "saved", "keras3"])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_runs_code_of_a_model(command, model, folder, capsys):
    names = {"model": folder / f"{model}.keras", "data": folder / "data.npz", "out": folder / "out"}
    assert cli.main([argument.format(**names) for argument in COMMANDS[command]]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and f"{model}.keras' is not loaded: `evil` (Lambda)" in error
    assert "pass --trust" in error
    assert not (folder / "marker").exists() and not (folder / "out").exists()


def test_a_trusted_model_is_loaded(folder, capsys):
    assert cli.main(["inspect", str(folder / "lambda.keras"), "--trust"]) == 0
    assert "evil" in capsys.readouterr().out
    (folder / "marker").unlink()


class Unpickled:
    """Makes the marker when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return pathlib.Path.touch, (self.marker,)


def test_data_are_never_unpickled(folder, capsys):
    keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)]).save(folder / "plain.keras")
    objects = np.array([Unpickled(folder / "marker")], dtype=object)
    np.savez(folder / "objects.npz", x_train=objects, y_train=objects)
    assert cli.main(["search", *(str(folder / name) for name in ("plain.keras", "objects.npz", "out"))]) == 1
    assert "objects.npz', which cannot be read (Object arrays cannot be loaded" in capsys.readouterr().err
    assert not (folder / "marker").exists()


def test_models_that_cannot_be_read_are_named(folder, capsys):
    keras.Sequential([keras.layers.Dense(2)]).save(folder / "unbuilt.keras")
    assert cli.main(["inspect", str(folder / "unbuilt.keras")]) == 1
    error = capsys.readouterr().err
    assert "unbuilt.keras': Model `" in error and "is not built" in error and error.count("\n") == 1


def test_commands_need_no_compiled_state(folder, capsys):
    def loss_of_the_user(y, prediction):
        return (y - prediction) ** 2

    for framework in (keras, tf_keras):
        for loss in ("mse", loss_of_the_user):
            model = framework.Sequential([framework.layers.Input((4,)), framework.layers.Dense(2)])
            model.compile("adam", loss)
            for name in ("compiled.keras", "compiled.h5"):
                model.save(folder / name)
                capsys.readouterr()
                assert cli.main(["inspect", str(folder / name)]) == 0
                assert capsys.readouterr().err == ""


def test_workers_do_not_import_from_the_current_folder(tmp_path):
    (tmp_path / "argparse.py").write_text("open('marker', 'w').close()")
    command = tune_width.worker_command(argparse.Namespace(given=["--help"]))
    subprocess.run(command, cwd=tmp_path, check=False, capture_output=True)
    assert not (tmp_path / "marker").exists()
    unsafe = [part for part in command if part != "-P"]
    subprocess.run(unsafe, cwd=tmp_path, check=False, capture_output=True)
    assert (tmp_path / "marker").exists(), "the import that was prevented"


def run_in_process(program, folder):
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    root = str(pathlib.Path(cli.__file__).parents[2])
    command = [sys.executable, "-c", f"import sys\nsys.path.insert(0, {root!r})\n{textwrap.dedent(program)}"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, env=environment)


def test_help_imports_no_framework(folder):
    program = """
        from tfmp import cli
        try:
            cli.main(["--help"])
        except SystemExit:
            print(*sys.modules.keys() & {"tensorflow", "keras", "tf_keras", "keras_tuner", "h5py"}, sep="")
    """
    done = run_in_process(program, folder)
    assert done.stdout.splitlines()[-1] == "" and done.stderr == ""


@pytest.mark.slow
def test_tensorflow_starts_quietly_and_errors_are_heard(folder):
    program = """
        import os
        from tfmp.cli import quiet_start
        quiet_start.import_tensorflow_quietly()
        quiet_start.import_tensorflow_quietly()
        import tensorflow
        from ai_edge_litert import interpreter
        assert not any(type(finder).__module__ == quiet_start.__name__ for finder in sys.meta_path)
        interpreter.Interpreter(model_path=FILE).allocate_tensors()
        with quiet_start._without_notes():
            os.write(2, b"I0000 00:00:1.5 1 port.cc:1] a note\\nE0000 an error\\n")
    """
    program = f"FILE = {str(golden_files.FOLDER / 'keras_plain.fast.tflite')!r}\n" + textwrap.dedent(program)
    assert run_in_process(program, folder).stderr == "E0000 an error\n"


def test_inputs_are_given_in_the_structure_that_the_model_takes(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.random((32, 4)).astype(np.float32), np.arange(32) % 3
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    image = keras.Input((4,), name="image")
    hidden = keras.layers.Dense(4, activation="relu")(keras.layers.Dense(4, activation="relu")(image))
    outputs = keras.layers.Dense(3, activation="softmax")(hidden)
    epochs = ["--search_epochs", "1", "--finetune_epochs", "0"]
    tune = ["tune", "--strategy", "uniform", "--budget", "bitops=2,2"]
    for command, inputs in ((["search"], [image]), (tune, {"image": image})):
        keras.Model(inputs, outputs).save(tmp_path / "model.keras")
        files = [str(tmp_path / name) for name in ("model.keras", "data.npz", command[0])]
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="The structure of `inputs`")
            assert cli.main([command[0], *files, *epochs, *command[1:]]) == 0
