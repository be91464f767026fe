"""Every call that takes data accepts every form, with the same result."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfmp
from tests.data.forms import batches_of
from tfmp import cli
from tfmp.tuner.fit_data import FitData

RNG = np.random.default_rng(0)
COUNT, HALF = 16, 8
LEFT, RIGHT = RNG.normal(size=(2, COUNT, 5)).astype(np.float32)
INPUTS, LABELS, WEIGHTS = {"left": LEFT, "right": RIGHT}, RNG.integers(0, 3, COUNT), np.ones(COUNT)
BITS = {"middle": (2, 3)}
BUDGET = tfmp.Budget("bitops", like_uniform=(3, 3))


def dataset(*parts):
    return tf.data.Dataset.from_tensor_slices(parts if len(parts) > 1 else parts[0]).batch(HALF)


def labelled_batches():
    yield from (((left, right), labels) for left, right, labels in batches_of((LEFT, RIGHT, LABELS), HALF))


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        part = slice(HALF * index, HALF * (index + 1))
        return {"left": LEFT[part], "right": RIGHT[part]}, LABELS[part]


class Sequence(tf_keras.utils.Sequence):
    __len__, __getitem__ = Batches.__len__, Batches.__getitem__


LABELLED = {
    "arrays and targets": ([LEFT, RIGHT], LABELS),
    "arrays, targets and weights": (INPUTS, LABELS, WEIGHTS),
    "data set with targets": dataset((LEFT, RIGHT), LABELS),
    "data set with weights": dataset(INPUTS, LABELS, WEIGHTS),
    "PyDataset": Batches(),
    "Sequence": Sequence(),
    "function": labelled_batches,
}
UNLABELLED = {
    "list": [LEFT, RIGHT],
    "tuple": (LEFT, RIGHT),
    "dict": INPUTS,
    "data set": dataset(INPUTS),
    "data set of tuples": dataset(LEFT, RIGHT),
    "function of lists": lambda: map(list, batches_of((LEFT, RIGHT), HALF)),
}


def build():
    keras.utils.set_random_seed(0)
    left, right = keras.Input((5,), name="left"), keras.Input((5,), name="right")
    x = keras.layers.Concatenate(name="both")([left, right])
    x = keras.layers.BatchNormalization(name="norm")(keras.layers.Dense(6, activation="relu", name="first")(x))
    x = keras.layers.Dense(6, activation="relu", name="middle")(x)
    return keras.Model([left, right], keras.layers.Dense(3, name="last")(x), name="tiny")


@pytest.fixture(scope="module")
def relaxed():
    return tfmp.relax(build(), weight_bits=(2, 4), activation_bits=(3, 4), calibration=INPUTS)


@pytest.fixture(scope="module")
def fixed(relaxed):
    return tfmp.fix(relaxed, BITS, calibration=INPUTS)


@pytest.fixture(scope="module")
def path(fixed, tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "model.tflite"
    tfmp.export_tflite(fixed, path)
    return path


def weights_of(model):
    return np.concatenate([np.ravel(weight) for weight in model.get_weights()])


def figures(report):
    ends = [report.folded.equal_share, report.trained.signal_to_noise_db, report.trained.top1_agreement]
    return [*ends, *(each.equal_share for each in report.operators)]


def selected(data):
    """The labels of a pass over the data, in no order."""
    steps = range(1 if isinstance(data, tuple) else 2)
    selection = tfmp.SelectionData(data, batch_size=COUNT)
    return np.sort(np.concatenate([selection.batch(position)[1] for position in steps]))


CONSUMERS = {
    "relax": lambda data, use: weights_of(tfmp.relax(build(), weight_bits=2, activation_bits=3, calibration=data)),
    "fix": lambda data, use: weights_of(tfmp.fix(use["relaxed"], BITS, calibration=data)),
    "verify": lambda data, use: figures(
        tfmp.export_tflite(use["fixed"], use["path"].with_name("new.tflite"), verify=data, overwrite=True)
    ),
    "compare": lambda data, use: figures(tfmp.compare_tflite(use["fixed"], use["path"], data)),
}
SLOW_CONSUMERS = {
    "post training": lambda data, use: weights_of(tfmp.fix(use["relaxed"], BITS, calibration=data, post_training=True)),
    "validation": lambda data, use: list(
        tfmp.assign.by_validation(use["relaxed"], lambda network: 1.0, samples=1, calibration=data)["middle"]
    ),
    "sensitivity": lambda data, use: harm(use["relaxed"], data),
}
LABELLED_CONSUMERS = {
    "evaluate": lambda data, use: [tfmp.evaluate_tflite(use["path"], data)],
    "selection data": lambda data, use: selected(data),
}


def harm(model, data, **options):
    recorded = tfmp.assign.by_sensitivity(model, data, BUDGET, **options).provenance["sensitivity"]
    return [value for layer in recorded.values() for values in layer.values() for value in values]


def loss(targets, outputs, weights=None):
    return keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True)


def same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def use(relaxed, fixed, path):
    """The models, the file, and what each consumer makes of the first form it is given."""
    return {"relaxed": relaxed, "fixed": fixed, "path": path, "expected": {}}


@pytest.mark.default_cases(
    "relax-list",
    "relax-data set of tuples",
    "relax-function*",
    "relax-data set with weights",
    "relax-PyDataset",
    "fix-dict",
    "fix-arrays and targets",
    "verify-list",
    "verify-dict",
    "verify-data set with weights",
    "compare-tuple",
    "compare-data set",
    "compare-Sequence",
)
@pytest.mark.parametrize("form", [*UNLABELLED, *LABELLED])
@pytest.mark.parametrize("consumer", CONSUMERS)
def test_inputs(consumer, form, use):
    found = CONSUMERS[consumer]({**UNLABELLED, **LABELLED}[form], use)
    same(found, use["expected"].setdefault(consumer, found))


@pytest.mark.slow
@pytest.mark.parametrize("form", [*UNLABELLED, *LABELLED])
@pytest.mark.parametrize("consumer", SLOW_CONSUMERS)
def test_inputs_of_slow_consumers(consumer, form, use):
    found = SLOW_CONSUMERS[consumer]({**UNLABELLED, **LABELLED}[form], use)
    same(found, use["expected"].setdefault(consumer, found))


@pytest.mark.parametrize("form", LABELLED)
@pytest.mark.parametrize("consumer", LABELLED_CONSUMERS)
def test_inputs_and_targets(consumer, form, use):
    found = LABELLED_CONSUMERS[consumer](LABELLED[form], use)
    same(found, use["expected"].setdefault(consumer, found))


@pytest.mark.slow
@pytest.mark.parametrize("form", LABELLED)
def test_sensitivity_of_a_loss(form, use):
    found = harm(use["relaxed"], LABELLED[form], loss=loss)
    same(found, use["expected"].setdefault("loss", found))


@pytest.mark.parametrize("form", LABELLED)
def test_the_tuner(form):
    data = LABELLED[form]
    x, y = (data[0], data[1]) if isinstance(data, tuple) else (data, None)
    fit_data = FitData(x, y, validation_data=data, batch_size=HALF)
    inputs, targets = fit_data.first(10)
    left, right = inputs.values() if isinstance(inputs, dict) else inputs
    np.testing.assert_array_equal(np.concatenate([left, right], 1), np.concatenate([LEFT, RIGHT], 1)[:10])
    np.testing.assert_array_equal(targets, LABELS[:10])


@pytest.mark.slow
def test_distillation_and_search_fit_what_the_tuner_hands_over():
    batches = LABELLED["function"]
    training = tfmp.distill(tfmp.relax(build(), weight_bits=(2, 4), activation_bits=3), build())
    optimizer = tfmp.SelectionOptimizer(keras.optimizers.SGD(0.01), keras.optimizers.Adam(0.02))
    training.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    search = tfmp.MixedPrecisionSearch(BUDGET, selection_data=batches)
    fit_data = FitData(batches, validation_data=batches)
    history = training.fit(**fit_data.fit_arguments(), callbacks=[search], verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(fit_data.evaluate(training)["loss"])


def test_the_command_line_reads_several_inputs(fixed, path, tmp_path, capsys):
    fixed.save(tmp_path / "fixed.keras")
    np.savez(tmp_path / "data.npz", **{"x_test/left": LEFT, "x_test/right": RIGHT, "y_test": LABELS})
    arguments = ["compare", str(tmp_path / "fixed.keras"), str(path), str(tmp_path / "data.npz")]
    assert cli.main(arguments) == 0
    np.savez(tmp_path / "data.npz", **{"x_test/left": LEFT, "x_test": RIGHT})
    capsys.readouterr()
    assert cli.main(arguments) == 1
    assert "either x_test or x_test/NAME" in capsys.readouterr().err


def test_every_pass_of_a_consumer_reads_a_function_again():
    calls = []

    def batches():
        calls.append(None)
        yield [LEFT, RIGHT]

    model = tfmp.relax(build(), weight_bits=(2, 4), activation_bits=3, calibration=batches)
    tfmp.fix(model, {"middle": (2, 3)}, calibration=batches)
    assert len(calls) >= 2
