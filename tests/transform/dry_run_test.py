"""Warnings before training are the errors of folding the trained model."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfmp
from tests.transform.small_networks import plain, residual, several, shared_layer

IMAGES = np.random.default_rng(0).uniform(-1, 1, (4, 8, 8, 3)).astype(np.float32)


@keras.saving.register_keras_serializable("dry_run_test")
def doubled(x):
    return 2 * x


@tf_keras.saving.register_keras_serializable("dry_run_test")
def tripled(x):
    return 3 * x


@keras.saving.register_keras_serializable("dry_run_test")
class Own(keras.layers.Layer):
    def call(self, x):
        return x * x


def network(kl, middle=lambda x: x, *, activation="relu"):
    """Three searched layers with something between the first two, the last at 8 bits."""
    package = keras if kl is keras.layers else tf_keras
    package.utils.set_random_seed(0)
    image = package.Input((8, 8, 3), name="image")
    x = middle(kl.Conv2D(4, 3, activation="relu", name="first")(image))
    x = kl.Conv2D(4, 1, activation=activation, name="second")(x)
    x = kl.Conv2D(4, 1, activation="relu", name="third")(x)
    return package.Model(image, kl.Dense(3, name="last")(kl.Flatten(name="flat")(x)), name="net")


K3, K2 = keras.layers, tf_keras.layers
# Network, what keeps it from integers, and a word of the way out; None where nothing does.
CASES = {
    "max_pool": (lambda: network(K3, K3.MaxPooling2D()), None, None),
    "sigmoid": (lambda: network(K3, K3.Activation("sigmoid")), None, None),
    "swish": (lambda: network(K3, activation="swish"), None, None),
    "object": (lambda: network(K3, activation=K3.ReLU()), None, None),
    "operation": (
        lambda: network(K3, lambda x: keras.ops.sinh(x)),
        "`sinh` has no operators in the runtime",
        "Replace",
    ),
    "keras2_relu": (lambda: network(K2, tf.nn.relu), None, None),
    "keras2_object": (lambda: network(K2, tf.nn.relu, activation=K2.ReLU()), None, None),
    "keras2_leaky": (lambda: network(K2, tf.nn.leaky_relu), None, None),
    "keras2_slice": (lambda: network(K2, lambda x: x[:, 1:]), None, None),
}
# Network, why a layer of it runs in floating point, and a word of the way out.
FLOATING = {
    "normalization": (
        lambda: network(K3, K3.LayerNormalization(name="own")),
        "`own` is a `LayerNormalization`",
        "float",
    ),
    "object with weights": (
        lambda: network(K3, activation=K3.PReLU()),
        "`second`'s activation is a `PReLU` object",
        "name",
    ),
    "function": (lambda: network(K3, activation=doubled), "`second`'s activation is the function", "name"),
    "softplus": (
        lambda: network(K3, K3.Activation("log_softmax", name="own")),
        "`own` computes `log_softmax`",
        "by its name",
    ),
    "power": (lambda: network(K3, lambda x: keras.ops.power(2.0, x)), "is a `Power` whose arguments", "exponent"),
    "class": (lambda: network(K3, Own(name="own")), "`own` is an `Own`", "tfmp.register_layer"),
    "lambda": (lambda: network(K3, K3.Lambda(doubled, name="own")), "`own` is a Python function", "class of your own"),
    "channels_first": (
        lambda: network(K3, K3.MaxPooling2D(data_format="channels_first", name="own")),
        "`own`'s channels come first",
        "channels_last",
    ),
    "keras2_function": (
        lambda: network(K2, tf.nn.relu, activation=tripled),
        "`second`'s activation is the function `dry_run_test>tripled`",
        "name",
    ),
}


@pytest.mark.default_cases("max_pool", "swish", "object", "operation", "keras2_relu", "keras2_slice")
@pytest.mark.parametrize("case", CASES)
def test_what_is_foretold_is_what_folding_says(case, recwarn):
    make, reason, way_out = CASES[case]
    model = make()
    report = tfmp.inspect(model)
    relaxed = tfmp.relax(model, weight_bits=4, activation_bits=4, calibration=IMAGES)
    warnings = [str(warning.message) for warning in recwarn if "exported in integers" in str(warning.message)]
    if reason is None:
        assert str(report).splitlines()[-2] == "fast, small: yes" and not warnings
        assert tfmp.fold(relaxed)(IMAGES).shape == (4, 3)
        return
    outlook = report.exports["fast"]
    assert outlook.answer == "no" and reason in outlook.reason and way_out in outlook.way_out
    assert outlook == report.exports["small"] and report.exports["float"].answer == "expected"
    assert str(report).splitlines()[-2] == f"fast, small: no, {outlook.reason}"
    (blocking,) = [row for row in report.rows if row.blocks]
    assert outlook.reason.startswith(f"`{blocking.name}`") and blocking.blocks == ("fast", "small")
    assert len(warnings) == 1 and outlook.reason in warnings[0] and outlook.way_out in warnings[0]
    with pytest.raises(ValueError) as raised:
        tfmp.fold(relaxed)
    assert str(raised.value) == f"Layer {outlook.reason}. {outlook.way_out}"
    assert str(tfmp.inspect(relaxed)).splitlines()[-2:] == str(report).splitlines()[-2:]


@pytest.mark.parametrize("case", FLOATING)
def test_layers_in_floating_point_are_named_before_training(case):
    make, reason, way_out = FLOATING[case]
    model = make()
    report = tfmp.inspect(model)
    (row,) = (row for row in report.rows if row.float_bytes is not None)
    assert not row.blocks and row.status == ("float" if "activation" not in reason else "searched")
    assert f"({row.float_bytes:,} bytes in floating point)" in str(report)
    assert str(report).splitlines()[-2].startswith("fast, small: yes, with `")
    with pytest.raises(ValueError, match="`integer_only=True`.*Without `integer_only`") as raised:
        tfmp.relax(model, weight_bits=4, activation_bits=4, integer_only=True)
    assert reason in str(raised.value) and way_out in str(raised.value)


@pytest.mark.parametrize("make", [plain, residual, several, shared_layer])
def test_networks_that_fold(make, recwarn):
    report = tfmp.inspect(make())
    assert report.exports["fast"].answer == report.exports["small"].answer == "yes"
    assert not any(row.blocks for row in report.rows)
    tfmp.relax(make())
    assert not [warning for warning in recwarn if "exported" in str(warning.message)]


def test_first_and_last_in_floating_point_is_no_surprise(recwarn):
    report = tfmp.inspect(plain(), first_and_last="float")
    assert report.exports["fast"].answer == "no" and "floating point" in report.exports["fast"].reason
    assert {row.status for row in report.rows} == {"float", "searched"}
    tfmp.relax(network(K3, K3.LayerNormalization()), first_and_last="float")
    assert not [warning for warning in recwarn if "exported" in str(warning.message)]


def test_every_layer_in_floating_point_is_shown():
    kl = keras.layers
    image = keras.Input((8, 8, 3), name="image")
    x = kl.LayerNormalization(name="early")(image)
    x = kl.Lambda(doubled, name="late")(kl.LayerNormalization(name="next")(x))
    x = kl.Lambda(doubled, name="last")(kl.Dense(3)(kl.Dense(4)(x)))
    model = keras.Model(image, x)
    report = tfmp.inspect(model)
    assert [row.name for row in report.rows if row.status == "float"] == ["early", "next", "late", "last"]
    assert report["early"].float_bytes == report["next"].float_bytes > 2 * 3 * 4  # gamma and beta
    line = "fast, small: yes, with `early`, `next`, `late` and 1 more in floating point"
    assert str(report).splitlines()[-2] == line
    with pytest.warns(UserWarning, match="run in floating point: `early`, `next`, `late` and 1 more"):
        relaxed = tfmp.relax(model, weight_bits=4, activation_bits=4, first_and_last="search")
    assert str(tfmp.inspect(relaxed)).splitlines()[-2] == line
    with pytest.raises(ValueError, match='needs `first_and_last="int8"`'):
        tfmp.relax(model, first_and_last="float", integer_only=True)


def test_free_sizes_have_no_file():
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(image))
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Dense(4)(x)))
    line = str(tfmp.inspect(model)).splitlines()[-1]
    assert line.startswith("fast, small, float: no, `image`'s output of shape (None, None, None, 3) has a free size")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantizer": ("hwgq", "lsq"), "weight_bits": (4, 8)}, "`signed` has 8 bits of `hwgq`.*at most 7 bits"),
        ({"activation_bits": (1, 2)}, "`own` has 1 bit for an input that can be negative.*2 bits or more"),
        ({"quantizer": "linear", "weight_bits": (2, 4)}, "`linear` for its input.*moving_range"),
    ],
    ids=["hwgq", "one_bit", "linear"],
)
def test_candidates_that_no_file_can_hold(options, message):
    model = network(K3, lambda x: K3.Conv2D(4, 1, name="own")(K3.Conv2D(4, 1, name="signed")(x)))
    with pytest.raises(ValueError, match=message):
        tfmp.relax(model, **options)


def test_one_signed_bit_in_floating_point(tmp_path):
    """The one kind of file that holds it."""
    model = network(K3, lambda x: K3.Conv2D(4, 1, name="own")(K3.Conv2D(4, 1, name="signed")(x)))
    relaxed = tfmp.relax(model, weight_bits=2, activation_bits=1, first_and_last="float", calibration=IMAGES)
    report = tfmp.export_tflite(relaxed, tmp_path / "model.tflite", mode="float", verify=IMAGES)
    assert report.trained.top1_agreement == 1
