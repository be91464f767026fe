import json

import keras
import numpy as np
import pytest
import tf_keras

import tfmp
from tfmp import cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A float classifier, data for it, and what `tfmp search` made of both."""
    folder = tmp_path_factory.mktemp("cli")
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    inputs = keras.Input((6, 6, 1), name="image")
    x = keras.layers.Conv2D(4, 3, activation="relu", name="first")(inputs)
    x = keras.layers.Conv2D(4, 3, activation="relu", name="middle")(x)
    x = keras.layers.Flatten(name="flat")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="last")(x), name="tiny")
    model.save(folder / "model.keras")
    x, y = rng.random((48, 6, 6, 1)).astype(np.float32), rng.integers(0, 3, 48)
    np.savez(folder / "data.npz", x_train=x[:32], y_train=y[:32], x_test=x[32:], y_test=y[32:])
    arguments = ["--search_epochs", "2", "--finetune_epochs", "1", "--batch_size", "16"]
    code = cli.main(["search", *map(str, (folder / "model.keras", folder / "data.npz", folder / "out")), *arguments])
    assert code == 0
    return folder


def test_inspect_lists_every_layer_with_its_fate(folder, capsys):
    assert cli.main(["inspect", str(folder / "model.keras")]) == 0
    printed = capsys.readouterr().out
    assert "8 bits: first layer" in printed and "8 bits: last layer" in printed
    assert next(line for line in printed.splitlines() if line.startswith("middle")).endswith("searched")


def test_search_leaves_a_fixed_model_and_its_bits_within_the_budget(folder):
    assignment = tfmp.BitAssignment.from_json(folder / "out" / "assignment.json")
    fixed = tfmp.load_model(folder / "out" / "fixed.keras")
    layer = fixed.get_layer("middle")
    assert (layer.weight_bits[0], layer.activation_bits[0]) == assignment["middle"]
    assert np.prod(assignment["middle"]) <= 4
    assert not (folder / "out" / "backup").exists()


def test_search_takes_and_leaves_models_of_tf_keras(folder, tmp_path):
    layers = [tf_keras.layers.Dense(4, activation="relu", name=name) for name in ("first", "middle")]
    head = tf_keras.layers.Dense(3, activation="softmax")
    tf_keras.Sequential([tf_keras.Input((6, 6, 1)), tf_keras.layers.Flatten(), *layers, head]).save(tmp_path / "tf.h5")
    files = map(str, (tmp_path / "tf.h5", folder / "data.npz", tmp_path / "out"))
    budgets = ["--budget", "bitops=2,2", "--budget", "model_size=2000"]
    assert cli.main(["search", *files, "--search_epochs", "1", "--finetune_epochs", "0", *budgets]) == 0
    assignment = tfmp.BitAssignment.from_json(tmp_path / "out" / "assignment.json")
    bounds = [(each["cost"], each["limit"], each["like_uniform"]) for each in assignment.provenance["budget"]]
    assert bounds == [("bitops", None, [2, 2]), ("model_size", 2000.0, None)]
    assert np.prod(assignment["middle"]) <= 4 and assignment.costs["model_size"] <= 2000
    assert isinstance(tfmp.load_model(tmp_path / "out" / "fixed.keras"), tf_keras.Model)


def test_search_does_not_replace_what_exists(folder, capsys):
    before = (folder / "out" / "fixed.keras").read_bytes()
    files = map(str, (folder / "model.keras", folder / "data.npz", folder / "out"))
    assert cli.main(["search", *files]) == 1
    assert "exists" in capsys.readouterr().err
    assert (folder / "out" / "fixed.keras").read_bytes() == before


def test_commands_refuse_layers_in_floating_point(folder, tmp_path, capsys):
    x = inputs = keras.Input((6, 6, 1), name="image")
    for layer in (*(keras.layers.Dense(3) for _ in range(2)), keras.layers.LayerNormalization(name="normal")):
        x = layer(x)
    model, data = str(tmp_path / "model.keras"), str(folder / "data.npz")
    keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x))).save(model)
    for command, more in (("quantize", []), ("quantize", ["--budget=bitops=4,4"]), ("search", [])):
        assert cli.main([command, model, data, str(tmp_path / "fixed.keras"), "--integer_only", *more]) == 1
        assert "`normal` is a `LayerNormalization`" in capsys.readouterr().err
    assert not (tmp_path / "fixed.keras").is_file()


def test_quantize_leaves_a_model_at_the_bits(folder, capsys):
    files = [str(folder / name) for name in ("model.keras", "data.npz", "quantized.keras")]
    assert cli.main(["quantize", *files, "--bits", "4,8"]) == 0
    printed = capsys.readouterr()
    assert "taken" in printed.err and printed.out == f"model: {files[2]}\n"
    layers = [tfmp.load_model(files[2]).get_layer(name) for name in ("first", "middle", "last")]
    assert [(*layer.weight_bits, *layer.activation_bits) for layer in layers] == [(8, 8), (4, 8), (8, 8)]
    assert cli.main(["quantize", *files]) == 1
    assert "exists" in capsys.readouterr().err
    learned = ["--post_training", "reconstruction", "--iterations", "2", "--overwrite"]
    assert cli.main(["quantize", *files, "--bits", "3,8", *learned]) == 0
    assert "Rounding learned in 1 blocks" in capsys.readouterr().err


def test_scores_are_measured_once_for_a_forecast_and_a_budget(folder, capsys):
    model, data, scores = (str(folder / name) for name in ("model.keras", "data.npz", "scores.json"))
    candidates = ["--weight_bits", "2,8", "--activation_bits", "4,8", "--sensitivity", scores]
    assert cli.main(["inspect", model, "--data", data, "--budget", "model_size=2,8", *candidates]) == 0
    printed = capsys.readouterr().out
    assert "middle" in printed and "Predicted harm of tiny (divergence), more than in floating point:" in printed
    assert printed.splitlines()[-1].startswith("model_size, W2A8") and "use uniform W2A8" in printed.splitlines()[-1]
    kept = tfmp.Sensitivity.load(scores)
    assert kept.data["num_samples"] == 32 and not (folder / "scores.json.backup").exists()
    for method, bits in (("ilp", (2, 8)), ("depthwise_8", (2, 8))):
        output = str(folder / f"{method}.keras")
        arguments = ["--budget", "model_size=2,8", "--method", method, *candidates]
        assert cli.main(["quantize", model, data, output, *arguments]) == 0
        layer = tfmp.load_model(output).get_layer("middle")
        assert (*layer.weight_bits, *layer.activation_bits) == bits
    assert tfmp.Sensitivity.load(scores) == kept
    found = str(folder / "from_scores")
    start = ["--budget", "model_size=2,8", "--search_epochs=1", "--finetune_epochs=0", *candidates]
    assert cli.main(["search", model, data, found, *start]) == 0
    for arguments, words in (
        (["quantize", model, data, str(folder / "new.keras"), *candidates], "choose bits within a budget"),
        (
            ["quantize", model, data, str(folder / "new.keras"), "--bits=4", "--budget=bitops=2,2"],
            "--bits and --budget",
        ),
        (["quantize", model, data, str(folder / "new.keras"), "--budget=bitops=4,4", "--method=best"], "'depthwise_8'"),
        (["inspect", model, "--budget=bitops=2,2"], "needs --data"),
        (["inspect", "x.tflite", "--data", data], "needs a .keras model"),
        (["inspect", model, "--data", data, "--sensitivity", scores], "the candidates (2, 3, 4, 5, 6, 8) for weights"),
    ):
        assert cli.main(arguments) == 1
        assert words in capsys.readouterr().err


def test_export_writes_a_verified_file(folder, capsys):
    output, fixed, data_path = folder / "model.tflite", str(folder / "out" / "fixed.keras"), str(folder / "data.npz")
    (folder / "labels.txt").write_text("cat\ndog\nowl\n")
    reference = ["--reference", str(folder / "model.keras")]
    arguments = ["export", fixed, str(output), "--verify", data_path, "--labels", str(folder / "labels.txt")]
    reference += ["--tolerance", "trained_top1=0.5"]  # the network has hardly learned, and classes are close
    assert cli.main([*arguments, *reference]) == 0
    shown = capsys.readouterr().out
    assert "trained model  " in shown and "float model    " in shown and "not given" not in shown
    assert cli.main(["inspect", str(output)]) == 0
    assert "3 labels: cat, dog, owl" in capsys.readouterr().out
    assert cli.main(["compare", fixed, str(output), data_path, *reference, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["comparison"]
    assert report["file"]["mode"] == "fast" and report["reference"]["num_samples"] == 16
    assert report["trained"]["outputs"][0]["decision"] == "largest of 3"
    for command in (["compare", fixed, str(output), data_path], [*arguments, "--overwrite"]):
        assert cli.main([*command, "--tolerance", "trained_db=900"]) == 1
        assert "Expected at least 900 dB" in capsys.readouterr().err
        assert cli.main([*command, "--tolerance", "trained_db=none", "--tolerance", "trained_top1=0"]) == 0
    for bound, message in {"trained=1": "must be one of 'operator_equal', ", "trained_top1=2": "at most 1"}.items():
        with pytest.raises(SystemExit):
            cli.main([*arguments, "--tolerance", bound])
        assert message in capsys.readouterr().err
    with np.load(folder / "data.npz") as data:
        assert 0 <= tfmp.evaluate_tflite(output, (data["x_test"], data["y_test"])) <= 1
    assert cli.main(arguments) == 1
    assert "Pass --overwrite" in capsys.readouterr().err


def test_simulate_and_report_agree_on_the_energy(folder, capsys):
    model = str(folder / "out" / "fixed.keras")
    assert cli.main(["simulate", model, "--format", "json"]) == 0
    layers = {row["name"]: row for row in json.loads(capsys.readouterr().out)["layers"]}
    assert cli.main(["report", model]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("middle"))
    assert float(row.split()[-1].replace(",", "")) == pytest.approx(
        layers["middle"]["energy_nj"]["total"] / 16, abs=0.1
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect", "nowhere.keras"], "There is no file 'nowhere.keras'"),
        (["search", "{model}", "nowhere.npz", "{out}2"], "There is no file 'nowhere.npz'"),
        (["search", "{model}", "{data}", "{out}3", "--limit", "1"], "the cheapest assignment costs"),
        (["search", "{model}", "{out}_more.npz", "{out}5"], "indices from 0 to 2, in the shape (32,). Received: int64"),
        (["search", "{model}", "{out}_hot.npz", "{out}5"], "in the shape (32,). Received: float64 of shape (32, 3)"),
        (["search", "{model}", "{model}", "{out}5"], "Missing: x_train, y_train"),
        (["search", "{model}", "{out}.npz", "{out}5"], "Expected an .npz file, as `numpy.savez` writes it"),
        (
            ["search", "{model}", "{out}_x_train.npz", "{out}5"],
            "`x_train` must be finite. Received: NaN or infinity at index",
        ),
        (
            ["search", "{model}", "{out}_x_test.npz", "{out}5"],
            "`x_test` must be finite. Received: NaN or infinity at index",
        ),
        (["search", "{model}", "{out}_y_test.npz", "{out}5"], "`y_test` must hold class indices from 0 to 2"),
        (
            ["tune", "{model}", "{out}_x_train.npz", "{out}5"],
            "`x_train` must be finite. Received: NaN or infinity at index",
        ),
        (
            ["tune", "{model}", "{out}_x_test.npz", "{out}5"],
            "`x_test` must be finite. Received: NaN or infinity at index",
        ),
        (["tune", "{model}", "{out}_y_test.npz", "{out}5"], "`y_test` must hold class indices from 0 to 2"),
        (
            ["tune", "{model}", "{out}_shape.npz", "{out}5"],
            "have the shape (samples, 6, 6, 1). Received: (16, 5, 6",
        ),
        (["search", "{model}", "{data}", "{data}"], "Expected a folder to write to"),
        (["search", "{model}", "{data}", "{out}4", "--limit", "1", "--like_uniform", "2,2"], "either --limit or"),
        (["search", "{model}", "{data}", "{out}6", "--limit", "1", "--budget", "bitops=2,2"], "Give either --budget"),
        (["search", "{model}", "{data}", "{out}7", "--budget", "model_size=1"], "The budget of `model_size` cannot be"),
        (["search", "{model}", "{data}", "{out}8", "--cost", "{data}.csv"], "There is no file"),
        (["export", "{model}", "{out}.tflite"], "has no quantized layer"),
        (["inspect", "nowhere.tflite"], "Expected a TFLite file"),
        (["inspect", "{data}.tflite"], "Expected a complete TFLite file"),
        (["compare", "{model}", "nowhere.tflite", "{data}"], "Expected a TFLite file"),
        (["report", "{model}"], "in floating point"),
    ],
)
def test_errors_are_one_line_that_says_what_to_do(folder, capsys, arguments, message):
    (folder / "data.npz.tflite").write_bytes((folder / "data.npz").read_bytes())
    (folder / "other.npz").write_text("no archive")
    with np.load(folder / "data.npz") as data:
        np.savez(folder / "other_more.npz", x_train=data["x_train"], y_train=data["y_train"] + 1)
        np.savez(folder / "other_hot.npz", x_train=data["x_train"], y_train=np.eye(3)[data["y_train"]])
        arrays = dict(data)
    for name in ("x_train", "x_test", "y_test"):
        wrong = arrays[name].copy()
        wrong[3] = np.pad([np.nan], (2, 3))[:, None] if wrong.ndim > 1 else 3
        np.savez(folder / f"other_{name}.npz", **{**arrays, name: wrong})
    np.savez(folder / "other_shape.npz", **{**arrays, "x_test": arrays["x_test"][:, 1:]})
    names = {"model": folder / "model.keras", "data": folder / "data.npz", "out": folder / "other"}
    assert cli.main([argument.format(**names) for argument in arguments]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not any(path.is_dir() for path in folder.glob("other*")), "a folder for nothing"


@pytest.mark.parametrize("text", ["bitops", "bitops=", "bitops=2,2,2", "bitops=many"])
def test_what_is_no_budget(capsys, text):
    with pytest.raises(SystemExit):
        cli.main(["search", "model.keras", "data.npz", "out", "--budget", text])
    assert "argument --budget: must be" in capsys.readouterr().err
