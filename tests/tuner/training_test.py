import functools
import subprocess
import sys

import keras
import pytest

from tfmp.tuner import Training


def squares(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)


LOSSES = {
    "text": "mse",
    "instance": keras.losses.Huber(0.5),
    "function": squares,
    "library function": keras.losses.mean_squared_error,
    "list": ["mse", squares, keras.losses.Huber(0.5)],
    "mapping": {"a": squares, "b": [None, keras.losses.MeanAbsoluteError()]},
    "partial": functools.partial(keras.losses.huber, delta=0.5),
}


def identities():
    metrics = ("accuracy", keras.metrics.MeanSquaredError(), squares)
    return [Training(loss, metrics=metrics).identity(keras) for loss in LOSSES.values()]


@pytest.mark.slow
def test_identities_are_the_same_in_every_process():
    program = "from tests.tuner import training_test; print(training_test.identities())"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(identities()) and "0x" not in printed
    losses = [str(identity["loss"]) for identity in identities()]
    assert len(set(losses)) == len(losses)


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        pytest.param(("accuracy",), True, id="text"),
        pytest.param((keras.metrics.SparseCategoricalAccuracy(name="accuracy"),), True, id="name"),
        pytest.param((keras.metrics.SparseCategoricalAccuracy(),), False, id="other name"),
        pytest.param((squares,), False, id="function"),
    ],
)
def test_an_accuracy_is_known_by_its_name(metrics, expected):
    assert Training("mse", metrics=metrics).is_accuracy_measured == expected
