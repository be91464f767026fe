"""The page on TFMOT runs as printed."""

import pathlib
import re

import numpy as np
import pytest
import tf_keras
from tf_keras import layers as kl

import tfmp

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "tfmot.md"
X = np.random.default_rng(0).normal(size=(64, 6, 6, 2)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, size=64)


@pytest.mark.slow  # what it does is tested in bindings/tfmot
def test_the_page_runs_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tf_keras.utils.set_random_seed(0)
    x = inputs = tf_keras.Input((6, 6, 2))
    x = kl.ReLU()(kl.BatchNormalization()(kl.Conv2D(4, 3, name="first")(x)))
    x = kl.Dense(5, activation="relu", name="hidden")(kl.Flatten()(x))
    x = kl.Dense(4, activation="relu", name="more")(x)
    model = tf_keras.Model(inputs, kl.Dense(3, activation="softmax", name="head")(x))
    programs = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    names = {"model": model, "x_train": X, "y_train": Y}
    for program in programs:
        exec(compile(program.replace("epochs=3", "epochs=1"), str(PAGE), "exec"), names)
    assert len(programs) == 2
    assert set(names["assignment"]) == {"hidden", "more"}
    assert names["search"].penalties[0].limit == 4 * (64 * 5 + 5 * 4)
    assert (tmp_path / "fixed.tflite").stat().st_size > 1000

    fixed = names["fixed"].get_layer("quant_hidden")
    assert isinstance(fixed.quantize_config, tfmp.tfmot.FixedPrecisionQuantizeConfig)
    assert (fixed.weight_selector.bits, fixed.activation_selector.bits) == tuple(
        (bits,) for bits in names["assignment"]["hidden"]
    )
    rows = {row.name: row for row in tfmp.inspect(names["mixed"]).rows}
    assert (rows["hidden"].weight_bits, rows["hidden"].activation_bits) == ((2, 4, 8), (4, 8))
    assert (
        tuple(bits[0] for bits in (rows["more"].weight_bits, rows["more"].activation_bits))
        == (names["assignment"]["more"])
    )
    assert type(names["mixed"].get_layer("quant_head").quantize_config).__name__ == "Default8BitQuantizeConfig"
    assert rows["head"].weight_bits == rows["first"].weight_bits == (8,)
    # The kernels of the trained model are those that were applied.
    np.testing.assert_array_equal(names["mixed"].get_layer("quant_more").kernel, model.get_layer("more").kernel)
