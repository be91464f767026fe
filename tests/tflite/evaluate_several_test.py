"""Files with several inputs and outputs, sigmoids and numbers are judged by what their targets are."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfmp
from tfmp.tflite.interpreter import Interpreter

RNG = np.random.default_rng(0)
COUNT = 70  # more than a batch
IMAGE, FLAGS = RNG.normal(size=(COUNT, 4, 4, 2)).astype(np.float32), RNG.normal(size=(COUNT, 3)).astype(np.float32)
KINDS, ANSWERS = RNG.integers(0, 4, COUNT), RNG.integers(0, 2, COUNT)
PLACES, WEIGHTS = RNG.normal(size=(COUNT, 3)), RNG.uniform(0, 2, COUNT)
SEVERAL = {"kind": KINDS, "answer": ANSWERS, "place": PLACES}


def network(outputs):
    """Two inputs and some of three outputs, whose names are not in the order of the alphabet."""
    keras.utils.set_random_seed(0)
    image, flags = keras.Input((4, 4, 2), name="image"), keras.Input((3,), name="flags")
    x = keras.layers.Conv2D(6, 3, activation="relu", name="first")(image)
    x = keras.layers.Concatenate(name="both")([keras.layers.Flatten(name="flat")(x), flags])
    heads = {
        "kind": keras.layers.Dense(4, name="kind"),
        "answer": keras.layers.Dense(1, activation="sigmoid", name="answer"),
        "place": keras.layers.Dense(3, name="place"),
    }
    found = [heads[name](x) for name in outputs]
    return keras.Model([image, flags], found if len(found) > 1 else found[0])


def exported(folder, outputs, **options):
    search_model = tfmp.relax(network(outputs), weight_bits=(6, 7), first_and_last="search", calibration=[IMAGE, FLAGS])
    fixed = tfmp.fix(search_model, dict.fromkeys(["first", *outputs], (7, 4)))
    tfmp.export_tflite(fixed, folder / f"{'_'.join(outputs)}.tflite", batch_size=8, **options)
    return folder / f"{'_'.join(outputs)}.tflite"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    return {
        "several": exported(folder, ("kind", "answer", "place")),
        "answer": exported(folder, ("answer",), output_type="uint8"),
        "place": exported(folder, ("place",), mode="float"),
    }


@pytest.fixture(scope="module")
def outputs(files):
    """What the file of three outputs computes, by the interpreter."""
    return Interpreter(files["several"]).run({"image": IMAGE, "flags": FLAGS})


def expected(outputs, weights=None):
    """The figures in NumPy, in float64."""
    right = outputs["kind"].argmax(-1) == KINDS
    sides = (outputs["answer"][:, 0] > 0.5) == ANSWERS
    difference = outputs["place"].astype(np.float64) - PLACES
    figures = {
        "kind_accuracy": right,
        "answer_accuracy": sides,
        "place_mae": np.abs(difference).mean(-1),
        "place_mse": np.square(difference).mean(-1),
    }
    return {name: np.average(values, weights=weights) for name, values in figures.items()}


def test_every_output_is_judged_by_its_targets(files, outputs):
    named, listed = {"flags": FLAGS, "image": IMAGE}, [KINDS, ANSWERS[:, None].astype(float), PLACES]
    dataset = tf.data.Dataset.from_tensor_slices(((IMAGE, FLAGS), SEVERAL)).batch(9)
    for data in (
        ([IMAGE, FLAGS], SEVERAL),
        (named, listed),
        ((IMAGE, FLAGS), {**SEVERAL, "kind": np.eye(4)[KINDS]}),
        dataset,
        lambda: dataset.as_numpy_iterator(),
    ):
        assert tfmp.evaluate_tflite(files["several"], data) == pytest.approx(expected(outputs))
    for weights in (WEIGHTS, [WEIGHTS[:, None]] * 3, dict.fromkeys(SEVERAL, WEIGHTS)):
        found = tfmp.evaluate_tflite(files["several"], (named, SEVERAL, weights))
        assert found == pytest.approx(expected(outputs, WEIGHTS))
    only = tfmp.evaluate_tflite(files["several"], (named, {"place": PLACES}, {"place": WEIGHTS}))
    weighted = expected(outputs, WEIGHTS)
    assert only == pytest.approx({name: weighted[name] for name in ("place_mae", "place_mse")})


def test_a_sigmoid_alone_has_an_accuracy(files):
    path, named = files["answer"], {"image": IMAGE, "flags": FLAGS}
    interpreter = Interpreter(path)
    values = interpreter.outputs["answer"].values(interpreter.run(named)["answer"])[:, 0]
    accuracy = np.mean((values > 0.5) == ANSWERS)
    for targets in (ANSWERS, ANSWERS[:, None], ANSWERS.astype(float), ANSWERS == 1):
        found = tfmp.evaluate_tflite(path, (named, targets))
        assert isinstance(found, float) and found == pytest.approx(accuracy)
    shares = np.linspace(0, 1, COUNT)
    assert tfmp.evaluate_tflite(path, (named, shares))["mae"] == pytest.approx(np.abs(values - shares).mean(), rel=1e-6)
    with pytest.raises(ValueError, match=r"zeros and ones.*from 0 to 0.9.*metrics="):
        tfmp.evaluate_tflite(path, (named, shares), metrics="accuracy")


def test_numbers_have_errors(files):
    path, data = files["place"], ([IMAGE, FLAGS], PLACES, WEIGHTS)
    difference = Interpreter(path).run({"image": IMAGE, "flags": FLAGS})["place"] - PLACES
    weighted = {"mae": np.abs(difference).mean(-1) @ WEIGHTS, "mse": np.square(difference).mean(-1) @ WEIGHTS}
    found = tfmp.evaluate_tflite(path, data)
    assert found == pytest.approx({name: value / WEIGHTS.sum() for name, value in weighted.items()})
    assert tfmp.evaluate_tflite(path, data, metrics="mse") == pytest.approx({"mse": found["mse"]})
    labels = np.eye(3, dtype=int)[RNG.integers(0, 3, COUNT)]
    labels[0] = 0, 0, 0  # several labels at once, and none
    logits = tfmp.evaluate_tflite(path, ([IMAGE, FLAGS], labels), metrics="accuracy")
    assert logits == pytest.approx({"accuracy": np.mean((difference + PLACES > 0) == labels)})


def correlation(targets, outputs):
    """No mean over samples: it has to see all of them at once."""
    return np.corrcoef(targets.ravel(), outputs.ravel())[0, 1]


def weighted_error(targets, outputs, sample_weight=None):
    return np.average(np.abs(targets - outputs).max(-1), weights=sample_weight)


@pytest.mark.parametrize("framework", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_metrics_of_ones_own(framework, files, outputs):
    data, weighted = ([IMAGE, FLAGS], SEVERAL), ([IMAGE, FLAGS], SEVERAL, WEIGHTS)
    auc = framework.metrics.AUC(name="area")
    auc.update_state(1 - ANSWERS, ANSWERS)  # what is in it does not count
    metrics = {
        "kind": [framework.metrics.SparseTopKCategoricalAccuracy(2), "accuracy"],
        "answer": auc,
        "place": [correlation, framework.losses.mean_squared_error, lambda t, o: np.abs(t - o)],
    }
    found = tfmp.evaluate_tflite(files["several"], data, metrics=metrics)
    top2 = (np.argsort(outputs["kind"], -1)[:, -2:] == KINDS[:, None]).any(-1)
    reference = framework.metrics.AUC()
    reference.update_state(ANSWERS[:, None], outputs["answer"])
    plain = expected(outputs)
    assert found == pytest.approx(
        {
            "kind_sparse_top_k_categorical_accuracy": top2.mean(),
            "kind_accuracy": plain["kind_accuracy"],
            "answer_area": float(reference.result()),
            "place_correlation": correlation(PLACES, outputs["place"]),
            "place_mean_squared_error": plain["place_mse"],
            "place_metric": plain["place_mae"],
        },
        rel=1e-5,
    )
    metrics = {
        "kind": framework.metrics.SparseCategoricalAccuracy(),
        "place": [weighted_error, lambda t, o: (t - o) ** 2],
    }
    found = tfmp.evaluate_tflite(files["several"], weighted, metrics=metrics)
    largest = np.abs(outputs["place"] - PLACES).max(-1)
    assert found["kind_sparse_categorical_accuracy"] == pytest.approx(expected(outputs, WEIGHTS)["kind_accuracy"])
    assert found["place_weighted_error"] == pytest.approx(np.average(largest, weights=WEIGHTS), rel=1e-6)
    assert found["place_metric"] == pytest.approx(expected(outputs, WEIGHTS)["place_mse"], rel=1e-6)


@pytest.mark.parametrize(
    ("targets", "options", "error", "message"),
    [
        (KINDS, {}, ValueError, "targets for each output of the file, kind, answer, place.*Received: 1 arrays"),
        ({"kind": KINDS, "other": KINDS}, {}, ValueError, "Received: the keys kind, other"),
        ({"kind": None}, {}, ValueError, "Received: none for any"),
        ({"kind": KINDS}, {"metrics": {"place": "mae"}}, ValueError, "none for place"),
        (SEVERAL, {"metrics": {"size": "mae"}}, ValueError, "outputs of the file as keys.*Received: .'size'."),
        (SEVERAL, {"metrics": {}}, ValueError, "as keys"),
        (SEVERAL, {"metrics": []}, ValueError, "at least one metric"),
        (SEVERAL, {"metrics": "rmse"}, TypeError, "'accuracy', 'mae', 'mse'.*Received: 'rmse'"),
        (SEVERAL, {"metrics": keras.metrics.AUC}, TypeError, "metric objects of Keras. Received: <class"),
        (SEVERAL, {"metrics": [keras.metrics.AUC()]}, ValueError, "one object for several. Give `metrics` as a dict"),
        (SEVERAL, {"metrics": {"kind": lambda t, o: "good"}}, ValueError, "must return numbers"),
        ({"place": PLACES[:, :2]}, {"metrics": {"place": "mae"}}, ValueError, r"`place` must be numbers of shape"),
        ({"answer": PLACES}, {}, ValueError, r"`answer` must be numbers of shape \(64, 1\). Received: .* \(64, 3\)"),
    ],
)
def test_targets_and_metrics_that_do_not_fit(targets, options, error, message, files):
    with pytest.raises(error, match=message):
        tfmp.evaluate_tflite(files["several"], ([IMAGE, FLAGS], targets), **options)


def test_weights_that_do_not_fit(files):
    path, inputs = files["place"], [IMAGE, FLAGS]
    for weights, message in ((WEIGHTS * 0, "sum to 0"), (PLACES[:, :2], "one entry per sample, or per value")):
        with pytest.raises(ValueError, match=message):
            tfmp.evaluate_tflite(path, (inputs, PLACES, weights))
    with pytest.raises(ValueError, match="`correlation` must take `sample_weight` or return one value per sample"):
        tfmp.evaluate_tflite(path, (inputs, PLACES, WEIGHTS), metrics=correlation)
