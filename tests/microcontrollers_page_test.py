"""The programs of the page on microcontrollers run as printed, one after another, and keep their budgets."""

import contextlib
import pathlib
import re

import keras
import numpy as np
import pytest

import tfmp
from tests.tflite.micro_check import needs_micro_runtime

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "microcontrollers.md"


# The parts are tested in tests/assign, tests/bindings and tests/tflite.
@needs_micro_runtime
@pytest.mark.slow
def test_the_programs_search_and_export(eagerly, tmp_path):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(16, activation="relu", name=name) for name in ("one", "two", "three")]
    model = keras.Sequential([keras.Input((6,)), *layers, keras.layers.Dense(3)])
    rng = np.random.default_rng(0)
    inputs, labels = rng.normal(size=(32, 6)).astype(np.float32), rng.integers(0, 3, 32)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    names = {"keras": keras, "tfmp": tfmp, "model": model, "loss": loss}
    names |= {"x_train": inputs, "y_train": labels, "x_test": inputs}
    export, search = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    with contextlib.chdir(tmp_path):
        for program in (search, export):  # a search leaves the network that is exported
            exec(compile(program, str(PAGE), "exec"), names)
    assert names["report"].size_bytes <= names["budgets"][0].limit
    assert names["report"].file.arena_bytes <= names["budgets"][1].limit
