"""Bad arguments and files of every command: exit codes, one line, no traceback."""

import shlex
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmp
from tfmp import cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny classifier, data for it, and files of all kinds that are none."""
    folder = tmp_path_factory.mktemp("commands")
    layers = [keras.layers.Dense(3, name=name) for name in ("first", "middle")]
    keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(2, activation="softmax")]).save(folder / "m.keras")
    x, y = np.random.default_rng(0).random((64, 4)).astype(np.float32), np.zeros(64, int)
    np.savez(folder / "d.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    np.savez(folder / "objects.npz", x_train=np.array([{}, 1], object), y_train=y)
    with zipfile.ZipFile(folder / "strange.npz", "w") as archive:
        archive.writestr("x_train.npy", b"\x93NUMPY\x01\x00")
    content = (folder / "d.npz").read_bytes()
    (folder / "cut.npz").write_bytes(content[: len(content) // 2])
    (folder / "flipped.npz").write_bytes(content[:400] + bytes(64) + content[464:])
    (folder / "binary.json").write_bytes(b"\xff\xfe\x00\x01")
    (folder / "cut.json").write_text('{"format": "tfmp.BitAssignment", ')
    (folder / "list.json").write_text("[1, 2]")
    (folder / "cut.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3")
    (folder / "binary.txt").write_bytes(b"\xff\xfe\x00")
    return folder


def arguments_of(command, folder):
    """The positional arguments that a command needs, all right."""
    files = {
        "compress": 2,
        "search": 3,
        "tune": 3,
        "quantize": 3,
        "export": 2,
        "compare": 3,
        "inspect": 1,
        "report": 1,
        "simulate": 1,
        "demo": 0,
        "doctor": 0,
    }
    trains = command in ("compress", "search", "tune", "quantize")
    names = ("m.keras", "d.npz", "out") if trains else ("m.keras", "out.tflite", "d.npz")
    return [command, *(str(folder / name) for name in names[: files[command]])]


# Option to the words of the error, and what is wrong.
INTEGER = "must be a positive integer", ["0", "-1", "1.5", "nan", "x", ""]
NATURAL = "must be an integer, 0 or more", ["-1", "1.5", "x"]
POSITIVE = "must be a finite number above 0", ["0", "-1", "nan", "inf", "x", ""]
BITS = "integers from 1 to 8", ["0", "9", "2,x", "", "2,,4", "1.5"]
PAIR = "must be two integers from 1 to 32", ["2", "2,2,2", "0,2", "2,33", "x,y", ""]
SEED = "must be an integer from 0 to 4294967295", ["-1", "1.5", "x", "4294967296"]
BOUND = "must be", ["bitops", "=2,2", "bitops=", "bitops=0", "bitops=nan", "bitops=2,x", "bitops=-5"]
DROP = "must be a finite number at least 0 and at most 1", ["-1", "1.5", "nan", "x"]
CHOICE = "invalid choice", ["", "wrong"]
TRAINING = {
    "--finetune_epochs": NATURAL,
    "--search_epochs": INTEGER,
    "--batch_size": INTEGER,
    "--learning_rate": POSITIVE,
    "--loss": CHOICE,
    "--seed": SEED,
    "--weight_bits": BITS,
    "--activation_bits": BITS,
    "--budget": BOUND,
}
OPTIONS = {
    "search": {**TRAINING, "--limit": POSITIVE, "--like_uniform": PAIR},
    "tune": {
        **TRAINING,
        "--oracle": CHOICE,
        "--max_trials": INTEGER,
        "--max_accuracy_drop": DROP,
        "--workers": INTEGER,
        "--depthwise_bits": BITS,
        "--sizes": ("finite numbers above 0", ["0", "-1", "0.5,x", "nan", ""]),
        "--tolerance": POSITIVE,
    },
    "simulate": {
        "--batch": INTEGER,
        "--uniform": PAIR,
        "--objective": CHOICE,
        "--depthwise": CHOICE,
        "--format": CHOICE,
    },
    "quantize": {
        "--bits": BITS,
        "--samples": INTEGER,
        "--budget": BOUND,
        "--scores": CHOICE,
        "--post_training": CHOICE,
        "--iterations": INTEGER,
        "--seed": SEED,
    },
    "inspect": {"--budget": BOUND, "--weight_bits": BITS, "--activation_bits": BITS, "--divergence": CHOICE},
    "export": {"--mode": CHOICE, "--tolerance": ("must be one of", ["", "wrong", "wrong=1"])},
    "demo": {"--seed": SEED},
    "compress": {
        "--flash": ("must be", ["0", "-1k", "x", "k", "0.1", "nan"]),
        "--bitops": PAIR,
        "--max_accuracy_drop": DROP,
        "--epochs": NATURAL,
        "--target": CHOICE,
    },
}


@pytest.mark.parametrize(
    ("command", "option", "text", "words"),
    [
        pytest.param(command, option, text, words, id=f"{command} {option}={text}")
        for command, options in OPTIONS.items()
        for option, (words, texts) in options.items()
        for text in texts
    ],
)
def test_a_bad_option_exits_with_2_and_names_it(folder, capsys, command, option, text, words):
    with pytest.raises(SystemExit) as caught:
        cli.main([*arguments_of(command, folder), f"{option}={text}"])
    line = capsys.readouterr().err.splitlines()[-1]
    assert caught.value.code == 2
    assert f"tfmp {command}: error: argument {option}: {words}" in line or (option in line and words in line)
    shown = text.rpartition("=")[2] if words == "must be" and not text.endswith("=") else text
    assert shown.strip("=") in line or "Received: " in line
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inspect", "missing.keras"], ["There is no file", "missing.keras"]),
        (["inspect", "cut.tflite"], ["cut.tflite", "Expected a complete TFLite file"]),
        (["inspect", "missing.tflite"], ["missing.tflite", "which is no file"]),
        (["report", "missing.keras"], ["There is no file", "missing.keras"]),
        (["report", "m.keras", "--hardware", "tpu"], ["'bit_fusion'", "Received: 'tpu'"]),
        (["report", "m.keras", "--hardware", "missing.json"], ["There is no file", "missing.json"]),
        (["report", "m.keras", "--hardware", "cut.json"], ["cut.json", "not JSON"]),
        (["report", "m.keras", "--hardware", "list.json"], ["list.json", "a JSON object"]),
        (["simulate", "binary.json", "--uniform", "2,2"], ["binary.json", "not text in UTF-8"]),
        (["simulate", "cut.json", "--uniform", "2,2"], ["cut.json", "not JSON"]),
        (["simulate", "list.json", "--uniform", "2,2"], ["list.json", "entry 0 must be an object"]),
        (["simulate", "wrong", "--uniform", "2,2"], ["`name` must be one of", "Received: "]),
        (["simulate", "m.keras", "--assignment", "cut.json"], ["cut.json", "a bit assignment", "not JSON"]),
        (["simulate", "m.keras", "--assignment", "list.json"], ["list.json", "not an object"]),
        (["simulate", "m.keras", "--assignment", "missing.json"], ["There is no file", "missing.json"]),
        (["compare", "m.keras", "cut.tflite", "d.npz"], ["Expected a complete TFLite file"]),
        (["compare", "m.keras", "missing.tflite", "d.npz"], ["missing.tflite"]),
        (["export", "m.keras", "out.tflite", "--labels", "missing.txt"], ["missing.txt", "Check the path"]),
        (["export", "m.keras", "out.tflite", "--labels", "binary.txt"], ["binary.txt", "not text in UTF-8"]),
        (["export", "m.keras", "out.tflite", "--verify", "cut.npz"], ["cut.npz", "Expected an .npz file"]),
        *[
            ([command, "m.keras", data, "out"], [data, "Expected an .npz file", "Write it again"])
            for command in ("search", "tune", "quantize")
            for data in ("cut.npz", "flipped.npz", "strange.npz", "objects.npz", "binary.json")
        ],
        (["compress", "m.keras", "cut.npz", "--output", "out", "--flash", "9k"], ["cut.npz", "Expected an .npz file"]),
        (["compress", "m.keras", "missing:f", "--output", "out", "--flash", "9k"], ["module:function", "missing"]),
        (["compress", "m.keras", "missing", "--output", "out", "--flash", "9k"], ["no file or folder", "missing"]),
        (["report", "."], ["cut.tflite", "Expected a complete TFLite file"]),
        (["search", "m.keras", "missing.npz", "out"], ["There is no file", "missing.npz"]),
        (["search", "m.keras", "d.npz", "out", "--cost", "watts"], ["`cost` must be one of", "'watts'"]),
        (["search", "m.keras", "d.npz", "out", "--cost", "cut.json"], ["cut.json", "no table of costs"]),
    ],
    ids=lambda value: " ".join(value) if value[0] in cli.COMMANDS else "",
)
def test_a_bad_file_exits_with_1_and_one_line(folder, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(folder)
    assert cli.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"tfmp {arguments[0]}: ") and error.count("\n") == 1, error
    assert all(word in error for word in words), error
    assert not (folder / "out").exists() and not (folder / "out.tflite").exists()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (zipfile.BadZipFile("Bad magic number"), "Bad magic number"),
        (tf.errors.InvalidArgumentError(None, None, "shapes differ\nin node x"), "TensorFlow stopped: shapes differ. "),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "invalid start byte"),
        (MemoryError(), "out of memory"),
        (PermissionError(13, "Permission denied", "x.npz"), "Permission denied: 'x.npz'. Check the path"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_errors_of_libraries_are_one_line(monkeypatch, capsys, error, words):
    monkeypatch.setattr(cli.inspect_command, "run", raising(error))
    assert cli.main(["inspect", "model.keras"]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("tfmp inspect: ") and words in printed and printed.count("\n") == 1


def test_a_bug_shows_where_it_is_and_that_it_is_one(monkeypatch, capsys):
    monkeypatch.setattr(cli.inspect_command, "run", raising(KeyError("gone")))
    assert cli.main(["inspect", "model.keras"]) == 1
    printed = capsys.readouterr().err
    assert "Traceback" in printed and "KeyError: 'gone'" in printed
    assert printed.splitlines()[-1].startswith(f"tfmp inspect: a bug of tfmp {tfmp.__version__}. Report it")


@pytest.mark.parametrize("command", ["compress", "search", "tune", "demo"])
def test_an_interrupted_command_says_what_is_kept(tmp_path, monkeypatch, capsys, command):
    monkeypatch.setattr(getattr(cli, f"{command}_command"), "run", raising(KeyboardInterrupt()))
    output = tmp_path / "out"
    named = {"demo": ["--output", str(output)], "compress": ["m", "d", "--output", str(output)]}
    arguments = [command, *named.get(command, ["m", "d", str(output)])]
    assert cli.main(arguments) == 130
    assert capsys.readouterr().err.splitlines() == ["", f"tfmp {command}: interrupted. Nothing is kept."]
    (output / "backup" / "epoch-00001").mkdir(parents=True)
    (output / "work" / "int8").mkdir(parents=True)
    (output / "work" / "int8" / "result.json").touch()
    (output / "experiment.json").write_text("{}")
    assert cli.main(arguments) == 130
    same = shlex.join(["tfmp", *arguments])
    lines = {
        "compress": f"Finished networks are in '{output / 'work'}': int8. Resume with: {same}",
        "search": f"'{output / 'backup'}' holds the search up to its last complete epoch. Resume with: {same}",
        "tune": f"'{output}' holds every finished trial. Resume with: {same} --resume",
        "demo": "Nothing is kept.",
    }
    assert capsys.readouterr().err.splitlines() == ["", f"tfmp {command}: interrupted. {lines[command]}"]


def raising(error):
    def run(arguments):
        raise error

    return run
