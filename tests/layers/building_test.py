"""Searchable layers are built from arguments, configurations, first batches and files."""

import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest

from tests.layers.searchable_layers import EACH_CLASS, plain, searchable
from tfmp import layers


@pytest.mark.parametrize("case", EACH_CLASS)
def test_config_round_trip(case):
    options = {
        "weight_bits": (4, 2),
        "activation_bits": (8,),
        "quantizer": ("hwgq", "lsq"),
        "signed_input": True,
        "relaxation": "gumbel",
        "shared_range": False,
        "shared_weights": False,
        "num_calls": 2,
        "seed": 7,
    }
    layer = searchable(case, name="here", **options)
    config = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(layer) and again.name == "here"
    assert again.weight_bits == (2, 4), "candidates are kept in increasing order"
    assert all(getattr(again, name) == value for name, value in options.items() if name != "weight_bits")
    assert again.get_config() == layer.get_config()
    assert [v.path for v in again.variables] == [v.path for v in layer.variables]
    mine = searchable(case, **options)
    plain_config = plain(case).get_config()
    assert {k: mine.get_config()[k] for k in plain_config if k != "name"} == {
        k: v for k, v in plain_config.items() if k != "name"
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight_bits": ()}, "one or more integers"),
        ({"weight_bits": (2, 2)}, "different bit-widths"),
        ({"weight_bits": (0, 2)}, "1 to 8"),
        ({"activation_bits": (9,)}, "1 to 8"),
        ({"activation_bits": (2.0,)}, "2.0"),
        ({"weight_bits": (1,), "quantizer": "linear"}, "2 to 8"),
        ({"quantizer": "wrong"}, "wrong"),
        ({"quantizer": ("lsq",)}, "pair"),
        ({"relaxation": "wrong"}, "`relaxation` must be one of 'softmax', 'annealed', 'gumbel'"),
        ({"quantizer": "hwgq", "signed_input": True}, "`hwgq` cannot represent an input that can be negative"),
        ({"coupled": True}, "equally many"),
        ({"coupled": True, "weight_bits": (2, 4), "activation_bits": None}, "equally many"),
        ({"coupled": True, "weight_bits": (4, 2), "activation_bits": (2, 4)}, "increasing order"),
    ],
    ids=str,
)
@pytest.mark.parametrize("case", EACH_CLASS)
def test_bad_arguments(case, arguments, message):
    with pytest.raises(ValueError, match=message):
        searchable(case, **arguments)


def test_a_model_without_an_input_is_built_by_its_first_batch():
    keras.utils.set_random_seed(0)
    conv = layers.MixedPrecisionConv2D(4, 3, weight_bits=(2, 4), activation_bits=(2, 4))
    dense = layers.MixedPrecisionDense(3, weight_bits=(2,), activation_bits=(4,))
    model = keras.Sequential([conv, keras.layers.ReLU(), keras.layers.Flatten(), dense])
    model.compile(keras.optimizers.SGD(1e-9), "mse")
    model.fit(np.random.rand(4, 6, 6, 2), np.zeros((4, 3)), verbose=0)
    assert_step_starts_from_kernel(conv)
    assert_step_starts_from_kernel(dense)


class Outer(keras.layers.Layer):
    """Has no `build`: Keras builds what is inside while it only infers shapes."""

    def __init__(self):
        super().__init__()
        self.inner = layers.MixedPrecisionDense(3, weight_bits=(2, 4), activation_bits=(4,))

    def call(self, inputs):
        return self.inner(inputs)


def test_a_layer_inside_another_starts_from_its_kernel():
    keras.utils.set_random_seed(0)
    outer = Outer()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        keras.Sequential([keras.Input((5,)), outer])
    assert_step_starts_from_kernel(outer.inner)


def assert_step_starts_from_kernel(layer):
    """LSQ: least squared error for one candidate; several share the best step for a Gaussian."""
    kernel, selector = np.asarray(layer.kernel, np.float64), layer.weight_selector
    axes = tuple(range(kernel.ndim - 1))
    if len(selector.bits) == 1:
        expected = selector.quantizers[0].least_squares_state(kernel, channel_axes=(-1,))["step"]
    else:
        expected = np.sqrt(np.square(kernel).mean(axis=axes, keepdims=True)) * selector.quantizers[-1].unit_step
    step = next(np.asarray(v) for v in selector.variables if v.name == "step")
    np.testing.assert_allclose(step, expected, rtol=1e-5)


SAVED = """
import sys
import keras, tfmp
import numpy as np
model = keras.saving.load_model(sys.argv[1] + "/model.keras")
x = np.load(sys.argv[1] + "/x.npy")
np.testing.assert_allclose(model.predict(x, verbose=0), np.load(sys.argv[1] + "/y.npy"), rtol=1e-5, atol=1e-6)
assert type(model.optimizer).__name__ == "SelectionOptimizer"
again = keras.models.clone_model(model)
assert np.abs(again.predict(x, verbose=0) - np.load(sys.argv[1] + "/y.npy")).max() > 1e-3
again.load_weights(sys.argv[1] + "/model.weights.h5")
np.testing.assert_allclose(again.predict(x, verbose=0), np.load(sys.argv[1] + "/y.npy"), rtol=1e-5, atol=1e-6)
with np.load(sys.argv[1] + "/variables.npz") as arrays:
    for variable in again.variables:
        np.testing.assert_array_equal(np.asarray(variable), arrays[variable.path])
model.fit(x, np.zeros((len(x), 3)), verbose=0)
print("reloaded")
"""


@pytest.fixture(scope="module")
def saved_folder(tmp_path_factory):
    import tfmp

    folder = tmp_path_factory.mktemp("saved")
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 2))
    options = {"weight_bits": (1, 2, 4), "coupled": True, "relaxation": "gumbel"}
    x = layers.MixedPrecisionConv2D(4, 3, groups=2, quantizer=("hwgq", "lsq"), shared_weights=False, **options)(x)
    options = {"shared_range": False, "shared_weights": False}
    x = layers.MixedPrecisionDepthwiseConv2D(3, activation="relu", **options)(x)
    x = layers.Quantize(8, signed=False)(x)
    x = keras.layers.Reshape((16, 4))(x)
    x = layers.MixedPrecisionConv1D(4, 3, padding="causal", relaxation="annealed", activation="relu")(x)
    x = keras.layers.Flatten()(x)
    x = layers.MixedPrecisionDense(3, weight_bits=(2,), activation_bits=(4,))(x)
    model = keras.Model(inputs, x)
    model.compile(tfmp.SelectionOptimizer("sgd", "adam"), "mse", run_eagerly=True)
    x = np.random.default_rng(0).uniform(size=(4, 8, 8, 2)).astype(np.float32)
    model.fit(x, np.zeros((4, 3)), epochs=2, verbose=0)
    for layer in model.layers:
        for selector in (getattr(layer, f"{tensor}_selector", None) for tensor in ("weight", "activation")):
            if selector is not None and selector.logits is not None:
                selector.logits.assign(np.random.default_rng(1).normal(size=selector.logits.shape))
    model.save(folder / "model.keras")
    model.save_weights(folder / "model.weights.h5")
    np.savez(folder / "variables.npz", **{v.path: np.asarray(v) for v in model.variables})
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", model.predict(x, verbose=0))
    return folder


@pytest.mark.slow
def test_saved_files_load_in_a_fresh_process(saved_folder):
    """`import tfmp` registers the classes where Keras is loaded, by importing `tfmp.layers`."""
    program = [sys.executable, "-c", SAVED, str(saved_folder)]
    result = subprocess.run(program, capture_output=True, text=True, check=False)
    assert result.stdout.endswith("reloaded\n"), result.stderr[-2000:]
