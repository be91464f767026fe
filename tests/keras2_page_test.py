"""The page on tf_keras runs as printed."""

import pathlib
import re

import numpy as np
import pytest
import tf_keras
from tf_keras import layers as kl

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "keras2.md"
X = np.random.default_rng(0).normal(size=(64, 6, 6, 2)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, size=64)


def test_the_page_runs_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tf_keras.utils.set_random_seed(0)
    x = inputs = tf_keras.Input((6, 6, 2))
    x = kl.ReLU()(kl.BatchNormalization()(kl.Conv2D(4, 3, name="first")(x)))
    x = kl.Dense(5, activation="relu", name="hidden")(kl.Flatten()(x))
    x = kl.Dense(4, activation="relu", name="more")(x)
    model = tf_keras.Model(inputs, kl.Dense(3, activation="softmax", name="head")(x))
    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    names = {"model": model, "x_train": X, "y_train": Y}
    exec(compile(program.replace("epochs=3", "epochs=1"), str(PAGE), "exec"), names)
    assert set(names["assignment"]) == {"hidden", "more"}
    assert isinstance(names["fixed"], tf_keras.Model)
    assert names["fixed"].get_layer("hidden").weight_bits == (names["assignment"]["hidden"][0],)
    assert (tmp_path / "fixed.tflite").stat().st_size > 1000
    assert names["search"].penalties[0].limit == pytest.approx(4 * (64 * 5 + 5 * 4))
