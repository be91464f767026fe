import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmp
from recipes.results_table import table
from tools import benchmark_search

ROOT = pathlib.Path(__file__).resolve().parents[2]
X = np.abs(np.random.default_rng(0).normal(size=(3, 5, 5, 2))).astype(np.float32)


def test_parallel_convolutions_compute_what_one_convolution_of_mixtures_computes():
    keras.utils.set_random_seed(0)
    kl = keras.layers
    x = inputs = keras.Input((5, 5, 2))
    for name, strides in (("one", 1), ("two", 2)):
        x = kl.Conv2D(4, 3, strides, padding="same", activation="relu", name=name)(x)
    model = tfmp.relax(keras.Model(inputs, x), weight_bits=(1, 2, 4), activation_bits=(2, 4), first_and_last="search")
    logits = [variable for variable in model.trainable_variables if variable.path.endswith("/logits")]
    for i, variable in enumerate(logits):
        variable.assign(np.linspace(-1, 1 + i, variable.shape[0]))

    def outputs_and_gradients():
        with tf.GradientTape() as tape:
            outputs = model(X, training=True)
            loss = tf.reduce_sum(outputs * tf.cos(outputs)) + sum(model.losses)
        return [outputs, *tape.gradient(loss, [variable.value for variable in model.trainable_variables])]

    model(X, training=True)  # sets the ranges
    composite = outputs_and_gradients()
    benchmark_search.convolve_in_parallel(model)
    for actual, expected in zip(outputs_and_gradients(), composite, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
    assert len(logits) == 4 and np.any(composite[0])


def test_the_measured_search_step_costs_little_more_than_a_uniform_one():
    """At most 1.3 times its time and 1.15 times its memory; at most a quarter more time for 8 candidates than for 2."""
    recorded = ROOT / "recipes" / "results" / "benchmark_search" / "resnet18_112.json"
    found = json.loads(recorded.read_text())["variants"]
    median = {name: record["step_of_uniform"][1] for name, record in found.items()}
    assert 1 < median["softmax"] <= 1.3
    assert found["softmax"]["peak_bytes"] <= 1.15 * found["uniform"]["peak_bytes"]
    assert median["candidates_8"] <= 1.25 * median["candidates_2"]


@pytest.mark.slow  # memory is measured in separate processes
def test_measures_all_variants_in_one_run(tmp_path):
    folder = tmp_path / "benchmark_search"
    folder.mkdir()
    command = [
        sys.executable,
        benchmark_search.__file__,
        "--quick",
        "--candidates=2",
        f"--output={folder / 'quick.json'}",
    ]
    subprocess.run(command, capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    result = json.loads((folder / "quick.json").read_text())
    found = result["variants"]
    assert [*found] == ["float", "uniform", "softmax", "annealed", "gumbel", "separate", "parallel", "candidates_2"]
    for name, record in found.items():
        assert 0 < record["step_seconds"][0] <= record["step_seconds"][1] <= record["step_seconds"][2]
        if name != "candidates_2":
            assert record["peak_bytes"] > record["trained_bytes"] > 0
    assert found["uniform"]["step_of_uniform"] == [1, 1, 1]
    assert found["separate"]["trained_bytes"] > 2 * found["softmax"]["trained_bytes"]
    assert found["parallel"]["peak_bytes"] > found["softmax"]["peak_bytes"]
    assert table(folder).count("\n") == 2 + len(found)
