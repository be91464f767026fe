"""One contract for all searchable layers of Keras 3."""

import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.parallel_branches import activation_branches, channel_fold, weight_branches
from tfmp import layers

# (class, arguments, input shape)
CASES = {
    "conv2d": ("Conv2D", {"filters": 4, "kernel_size": 3}, (6, 7, 3)),
    "conv2d_strided_same": (
        "Conv2D",
        {"filters": 4, "kernel_size": (3, 2), "strides": 2, "padding": "same", "activation": "relu"},
        (7, 6, 3),
    ),
    "conv2d_dilated": ("Conv2D", {"filters": 2, "kernel_size": 3, "dilation_rate": 2, "use_bias": False}, (8, 8, 3)),
    "conv2d_groups": ("Conv2D", {"filters": 6, "kernel_size": 3, "groups": 2, "padding": "same"}, (5, 5, 4)),
    "conv2d_regularized": (
        "Conv2D",
        {"filters": 3, "kernel_size": 1, "kernel_regularizer": "l2", "bias_regularizer": "l1", "activation": "tanh"},
        (4, 4, 3),
    ),
    "conv2d_constrained": ("Conv2D", {"filters": 3, "kernel_size": 2, "kernel_constraint": "non_neg"}, (4, 4, 2)),
    "depthwise": ("DepthwiseConv2D", {"kernel_size": 3}, (6, 6, 3)),
    "depthwise_multiplied": (
        "DepthwiseConv2D",
        {"kernel_size": 3, "depth_multiplier": 2, "strides": 2, "padding": "same", "activation": "relu"},
        (7, 7, 3),
    ),
    "depthwise_regularized": ("DepthwiseConv2D", {"kernel_size": 2, "depthwise_regularizer": "l2"}, (4, 4, 2)),
    "depthwise_dilated": ("DepthwiseConv2D", {"kernel_size": 2, "dilation_rate": 2, "use_bias": False}, (6, 6, 2)),
    "transposed": (
        "Conv2DTranspose",
        {"filters": 5, "kernel_size": (3, 2), "strides": 2, "padding": "same"},
        (4, 4, 3),
    ),
    "transposed_padded": (
        "Conv2DTranspose",
        {"filters": 2, "kernel_size": 3, "strides": 2, "output_padding": 1, "use_bias": False, "activation": "relu"},
        (3, 3, 2),
    ),
    "depthwise1d": (
        "DepthwiseConv1D",
        {"kernel_size": 3, "depth_multiplier": 2, "strides": 2, "padding": "same", "activation": "relu"},
        (7, 3),
    ),
    "conv1d": ("Conv1D", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, (9, 3)),
    "conv1d_causal": ("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal"}, (8, 3)),
    "conv1d_causal_dilated": (
        "Conv1D",
        {"filters": 2, "kernel_size": 3, "padding": "causal", "dilation_rate": 2, "use_bias": False},
        (9, 3),
    ),
    "conv1d_groups": ("Conv1D", {"filters": 4, "kernel_size": 2, "groups": 2, "activation": "relu"}, (6, 4)),
    "dense": ("Dense", {"units": 5}, (7,)),
    "dense_sequence": ("Dense", {"units": 5, "activation": "relu", "kernel_regularizer": "l2"}, (4, 3)),
    "dense_constrained": ("Dense", {"units": 3, "use_bias": False, "kernel_constraint": "unit_norm"}, (6,)),
}
SEED = 0
EACH_CLASS = ("conv2d_strided_same", "depthwise_multiplied", "transposed", "conv1d_causal", "depthwise1d", "dense")


def plain(case, **more):
    class_name, arguments, _ = CASES[case]
    return getattr(keras.layers, class_name)(**arguments, **more)


def searchable(case, **more):
    class_name, arguments, input_shape = CASES[case]
    keras.utils.set_random_seed(SEED)
    layer = getattr(layers, f"MixedPrecision{class_name}")(**arguments, **more)
    layer.build((None, *input_shape))
    return layer


def randomize(layer, seed=0):
    """Random biases, logits and ranges: their starting values hide mistakes."""
    rng = np.random.default_rng(seed)
    if getattr(layer, "use_bias", False):
        layer.bias.assign(rng.normal(size=layer.bias.shape))
    for selector in (layer.weight_selector, layer.activation_selector):
        if selector is None:
            continue
        for variable in selector.variables:
            if variable.name == "logits":
                variable.assign(rng.normal(size=variable.shape))
            elif variable.name.startswith("step"):
                variable.assign(np.asarray(variable) * rng.uniform(0.7, 1.2, variable.shape))
            elif variable.name.startswith("seen"):
                variable.assign(1.0)
    for kernel in layer.candidate_kernels.kernels if layer.candidate_kernels else ():
        kernel.assign(kernel + rng.normal(scale=0.1, size=kernel.shape))
    return layer


def inputs_of(case, *, signed=False, seed=1):
    x = np.random.default_rng(seed).normal(size=(3, *CASES[case][2])).astype(np.float32)
    return x if signed else np.abs(x)


def in_float64(case, kernel, bias):
    """The plain layer with the given arrays, computing in float64."""
    layer = plain(case, dtype="float64")
    layer.build((None, *CASES[case][2]))
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    return layer


def biases(layer):
    return np.asarray(layer.bias, np.float64) if layer.use_bias else None


def relative(actual, expected):
    return np.abs(np.asarray(actual) - np.asarray(expected)).max() / max(np.abs(np.asarray(expected)).max(), 1e-12)


@pytest.mark.parametrize("case", CASES)
def test_without_bits_it_is_the_plain_layer(case):
    ours = searchable(case, weight_bits=None, activation_bits=None)
    assert ours.weight_selector is ours.activation_selector is ours.selection_cost is None
    randomize(ours)
    reference = plain(case)
    reference.build((None, *CASES[case][2]))
    reference.set_weights(ours.get_weights())
    x = tf.constant(inputs_of(case, signed=True))
    found = []
    for layer in (ours, reference):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=True)
            loss = tf.reduce_sum(outputs**2) + tf.reduce_sum(layer.losses)
        gradients = tape.gradient(loss, [x, *[v.value for v in layer.trainable_variables]])
        keras.optimizers.SGD(0.1).apply(gradients[1:], layer.trainable_variables)
        found.append([outputs, *layer.losses, *gradients, *layer.get_weights()])
    assert len(found[0]) == len(found[1])
    for actual, expected in zip(*found, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.default_cases("True-*", "False-dense")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("signed", [False, True])
def test_output_is_the_plain_layer_on_mixed_tensors(case, signed):
    """EdMIPS, eq. 14: one product of the mixed input with the mixed kernel."""
    layer = randomize(searchable(case, weight_bits=(1, 2, 4), activation_bits=(1, 3, 8), signed_input=signed))
    x = inputs_of(case, signed=signed)
    kernel = sum(p * w for p, w in weight_branches(layer))
    mixed = sum(p * a for p, a in activation_branches(layer, x))
    expected = in_float64(case, kernel.numpy(), biases(layer))(mixed)
    assert relative(layer(x), expected) < 1e-5


@pytest.mark.parametrize("case", [case for case in CASES if "activation" not in CASES[case][1]])
def test_output_is_the_sum_of_parallel_products(case):
    """EdMIPS, eq. 10: what one composite product replaces."""
    layer = randomize(searchable(case, weight_bits=(1, 2, 4), activation_bits=(2, 5)))
    x = inputs_of(case)
    expected = 0.0
    for p, kernel in weight_branches(layer):
        branch = in_float64(case, kernel.numpy(), biases(layer))
        expected += sum(p * q * branch(quantized) for q, quantized in activation_branches(layer, x))
    assert relative(layer(x), expected) < 1e-5


@pytest.mark.default_cases("conv2d_groups", "depthwise", "transposed", "conv1d_causal", "dense")
@pytest.mark.parametrize("case", [case for case in CASES if "activation" not in CASES[case][1]])
def test_output_of_coupled_candidates_is_the_sum_over_their_pairs(case):
    options = {"weight_bits": (1, 2, 4), "activation_bits": (2, 3, 8), "coupled": True, "shared_weights": False}
    layer = randomize(searchable(case, **options))
    assert layer.activation_selector.logits is layer.weight_selector.logits
    x = inputs_of(case)
    pairs = zip(weight_branches(layer), activation_branches(layer, x), strict=True)
    expected = sum(p * in_float64(case, w.numpy(), biases(layer))(a) for (p, w), (_, a) in pairs)
    assert relative(layer(x), expected) < 1e-5


@pytest.mark.default_cases("*-dense", "{'quantizer': 'lsq'}-*", "{'quantizer': 'lsq', 'coupled': True}-*")
@pytest.mark.parametrize("case", EACH_CLASS)
@pytest.mark.parametrize(
    "options",
    [
        {"quantizer": "lsq"},
        {"quantizer": "lsq", "shared_range": False},
        {"quantizer": "lsq", "signed_input": True},
        {"quantizer": "hwgq"},
        {"quantizer": ("linear", "moving_range")},
        {"quantizer": ("hwgq", "lsq"), "shared_weights": False},
        {"quantizer": "lsq", "coupled": True},
        {"quantizer": "lsq", "coupled": True, "shared_weights": False, "shared_range": False},
    ],
    ids=str,
)
def test_gradients_are_those_of_parallel_branches(case, options):
    two = options["quantizer"] == ("linear", "moving_range") or "coupled" in options
    bits = (2, 4) if two else (1, 2, 4)
    layer = randomize(searchable(case, weight_bits=bits, activation_bits=(2, 3), **options))
    x = tf.constant(inputs_of(case, signed=options.get("signed_input", False)))
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = layer(x)
        probe = tf.constant(np.random.default_rng(2).normal(size=outputs.shape).astype(np.float32))
        loss = tf.reduce_sum(outputs * probe)
    variables = {v.path.removeprefix(f"{layer.name}/"): v for v in layer.trainable_variables}
    found = tape.gradient(loss, {"input": x, **{path: v.value for path, v in variables.items()}})

    doubles = {"input": tf.Variable(tf.cast(x, tf.float64))}
    doubles |= {path: tf.Variable(np.asarray(v, np.float64)) for path, v in variables.items()}
    with tf.GradientTape() as tape:
        weights = weight_branches(layer, doubles)
        activations = activation_branches(layer, doubles["input"], doubles)
        reference = in_float64(case, weights[0][1].numpy(), biases(layer))
        if layer.coupled:
            pairs = zip(weights, activations, strict=True)
            product = tf.add_n([p * channel_fold(reference, a, w) for (p, w), (_, a) in pairs])
        else:
            mixed = tf.add_n([p * a for p, a in activations])
            product = channel_fold(reference, mixed, tf.add_n([p * w for p, w in weights]))
        product += doubles["bias"]
        outputs = reference.activation(product)
        loss = tf.reduce_sum(outputs * tf.cast(probe, tf.float64))
    expected = tape.gradient(loss, doubles)
    assert found.keys() == expected.keys()
    for path, gradient in found.items():
        assert np.abs(expected[path]).max() > 0, path
        assert relative(gradient, expected[path]) < 1e-4, path


@pytest.mark.parametrize("case", EACH_CLASS)
def test_price_enters_the_loss_while_training_alone(case):
    layer = randomize(searchable(case, weight_bits=(2, 4, 8), activation_bits=(2, 4), num_calls=3))
    price = np.random.default_rng(0).uniform(size=(3, 2))
    layer.selection_cost.set_price(price)
    model = keras.Sequential([keras.Input(CASES[case][2]), layer])
    p_weights, p_activations = (
        np.exp(s.logits) / np.exp(s.logits).sum() for s in (layer.weight_selector, layer.activation_selector)
    )
    model(inputs_of(case), training=False)
    assert model.losses == []
    model(inputs_of(case), training=True)
    assert len(model.losses) == 1
    np.testing.assert_allclose(model.losses[0], p_weights @ price @ p_activations / 3, rtol=1e-6)


@pytest.mark.parametrize("case", EACH_CLASS)
def test_price_of_one_open_tensor(case):
    """A tensor in floating point, or with one candidate, has one column."""
    for arguments in ({"activation_bits": None}, {"activation_bits": 4}):
        layer = randomize(searchable(case, weight_bits=(2, 8), **arguments))
        layer.selection_cost.set_price([[1.0], [5.0]])
        layer(inputs_of(case), training=True)
        p = np.asarray(layer.weight_selector.probabilities())
        np.testing.assert_allclose(layer.losses[0], p @ [1, 5], rtol=1e-6)


@pytest.mark.parametrize("case", EACH_CLASS)
def test_single_candidate_is_the_fixed_layer(case):
    layer = randomize(searchable(case, weight_bits=(2,), activation_bits=4))
    assert layer.weight_selector.bits == (2,) and layer.activation_selector.bits == (4,)
    assert layer.weight_selector.logits is None and layer.activation_selector.logits is None
    x = inputs_of(case)
    outputs = layer(x, training=True)
    assert layer.losses == []
    ((_, kernel),), ((_, quantized),) = weight_branches(layer), activation_branches(layer, x)
    channels = np.moveaxis(kernel, layer.channel_axes, range(len(layer.channel_axes)))
    channels = channels.reshape(int(np.prod(channels.shape[: len(layer.channel_axes)])), -1)
    assert max(len(np.unique(channel)) for channel in channels) <= 4 and len(np.unique(quantized)) <= 16
    assert relative(outputs, in_float64(case, kernel.numpy(), biases(layer))(quantized)) < 1e-5


@pytest.mark.parametrize("case", EACH_CLASS)
def test_price_of_coupled_candidates_is_that_of_their_pairs(case):
    layer = randomize(searchable(case, weight_bits=(2, 4, 8), activation_bits=(1, 2, 4), coupled=True))
    layer.selection_cost.set_price([[1.0, 9.0, 9.0], [9.0, 2.0, 9.0], [9.0, 9.0, 4.0]])
    layer(inputs_of(case), training=True)
    p = np.asarray(layer.weight_selector.probabilities())
    np.testing.assert_array_equal(layer.activation_selector.probabilities(), p)
    np.testing.assert_allclose(layer.losses[0], p @ [1, 2, 4], rtol=1e-6)


@pytest.mark.parametrize("case", ["conv2d_regularized", "conv2d_constrained", "depthwise_regularized"])
def test_kernels_of_candidates_have_the_layers_regularizer_and_constraint(case):
    layer = randomize(searchable(case, weight_bits=(1, 2, 4), activation_bits=None, shared_weights=False))
    layer.trainable = False
    assert not layer.candidate_kernels.trainable_variables, "they rest with the kernel"
    layer.trainable = True
    kernels = [*layer.candidate_kernels.kernels, layer.kernel]
    assert [kernel.path for kernel in layer.trainable_variables if "kernel_" in kernel.path] == [
        kernel.path for kernel in kernels[:2]
    ]
    if "constrained" in case:
        layer.optimizer = keras.optimizers.SGD(1.0)
        layer.optimizer.apply([tf.ones(kernel.shape) for kernel in kernels], kernels)
        assert all(np.min(kernel) == 0 for kernel in kernels)
        return
    expected = sum(0.01 * np.square(kernel).sum() for kernel in kernels)
    expected += 0.01 * np.abs(layer.bias).sum() if layer.bias.regularizer else 0
    assert float(tf.add_n(layer.losses)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.default_cases("depthwise_multiplied", "transposed", "dense")
@pytest.mark.parametrize("case", EACH_CLASS)
def test_training_lowers_the_cost_under_a_price(case):
    keras.utils.set_random_seed(0)
    layer = searchable(case, weight_bits=(1, 2, 4), activation_bits=(2, 4))
    model = keras.Sequential([keras.Input(CASES[case][2]), layer])
    layer.selection_cost.set_price(np.outer((1, 2, 4), (2, 4)))
    model.compile(keras.optimizers.SGD(0.05), "mse", run_eagerly=True)
    before = [float(s.expected_bits()) for s in (layer.weight_selector, layer.activation_selector)]
    outputs = model(inputs_of(case))
    model.fit(inputs_of(case), np.ones(outputs.shape), epochs=6, batch_size=3, verbose=0)
    after = [float(s.expected_bits()) for s in (layer.weight_selector, layer.activation_selector)]
    assert after[0] < before[0] - 0.1 and after[1] < before[1] - 0.1
    p = np.asarray(layer.weight_selector.probabilities())
    assert p[0] > p[1] > p[2]


@pytest.mark.default_cases(
    "conv2d_strided_same-softmax", "depthwise_multiplied-annealed", "transposed-gumbel", "dense-*"
)
@pytest.mark.parametrize("relaxation", ["softmax", "annealed", "gumbel"])
@pytest.mark.parametrize("case", EACH_CLASS)
def test_one_bit_trains(case, relaxation):
    layer = searchable(case, weight_bits=(1,), activation_bits=(1, 2), relaxation=relaxation)
    model = keras.Sequential([keras.Input(CASES[case][2]), layer])
    model.compile(keras.optimizers.SGD(0.01), "mse", run_eagerly=True)
    start = layer.get_weights()[0]
    history = model.fit(inputs_of(case), np.ones(model(inputs_of(case)).shape), epochs=3, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    assert not np.array_equal(layer.get_weights()[0], start)


@pytest.mark.default_cases("conv2d_strided_same", "transposed", "dense")
@pytest.mark.parametrize("case", EACH_CLASS)
def test_mixed_float16_quantizes_in_full_precision(case):
    layer = randomize(searchable(case, weight_bits=(2, 8), activation_bits=(2, 4), dtype="mixed_float16"))
    assert layer.compute_dtype == "float16" and layer.kernel.dtype == "float32"
    seen = []
    original = layer.operation
    layer.operation = lambda inputs, kernel: seen.append(kernel) or original(inputs, kernel)
    x = inputs_of(case).astype(np.float16)
    outputs = layer(x, training=True)
    assert outputs.dtype == seen[0].dtype == tf.float16
    # Kernels near a rounding border would take the wrong code, were they rounded to float16 before.
    exact = sum(p * w for p, w in weight_branches(layer))
    np.testing.assert_allclose(seen[0], exact, rtol=2**-11, atol=1e-7)
    model = keras.Sequential([keras.Input(CASES[case][2]), layer])
    model.compile("sgd", "mse", run_eagerly=True)
    history = model.fit(x, np.zeros(outputs.shape), verbose=0)
    assert np.isfinite(history.history["loss"]).all()


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


def gumbel_layer(**more):
    layer = searchable("conv2d", weight_bits=(1, 2, 4), activation_bits=(2, 3, 5), relaxation="gumbel", **more)
    for selector in (layer.weight_selector, layer.activation_selector):
        selector.logits.assign([0.3, 0.0, -0.2])
    layer.activation_selector.calibrate(inputs_of("conv2d"))
    return layer


def chosen_kernel(layer, step):
    layer.weight_selector.sampling_step.assign(step)
    return np.asarray(layer.weight_selector(layer.kernel.value, training=True))


def test_gumbel_noise_depends_on_seed_and_step_alone():
    one, two, other = gumbel_layer(name="a", seed=3), gumbel_layer(name="a", seed=3), gumbel_layer(name="a", seed=4)
    for layer in (two, other):
        layer.set_weights(one.get_weights())
    steps = range(24)
    kernels = [chosen_kernel(one, step) for step in steps]
    assert all(np.array_equal(kernel, chosen_kernel(two, step)) for kernel, step in zip(kernels, steps, strict=True))
    assert not all(
        np.array_equal(kernel, chosen_kernel(other, step)) for kernel, step in zip(kernels, steps, strict=True)
    )
    assert len({kernel.tobytes() for kernel in kernels}) == 3, "every candidate is drawn at some step"
    branches = [w for _, w in weight_branches(one)]
    assert all(min(relative(kernel, branch) for branch in branches) < 1e-6 for kernel in kernels)


def test_gumbel_counts_its_steps_and_is_quiet_in_inference():
    layer = gumbel_layer(name="a")
    x = inputs_of("conv2d")
    for _ in range(3):
        layer(x, training=True)
    assert float(layer.weight_selector.sampling_step) == float(layer.activation_selector.sampling_step) == 3
    assert np.array_equal(layer(x), layer(x))
    assert float(layer.weight_selector.sampling_step) == 3
    (_, kernel), *_ = weight_branches(layer)  # the most probable one
    (_, quantized), *_ = activation_branches(layer, x)
    assert relative(layer(x), in_float64("conv2d", kernel.numpy(), biases(layer))(quantized)) < 1e-5


def test_gumbel_passes_gradients_through_the_sampled_candidate_alone():
    layer = gumbel_layer(name="a", shared_range=False)
    selector = layer.weight_selector
    branches = [w for _, w in weight_branches(layer)]
    drawn = set()
    for step in range(12):
        selector.sampling_step.assign(step)
        with tf.GradientTape() as tape:
            kernel = selector(layer.kernel.value, training=True)
            loss = tf.reduce_sum(kernel * tf.random.stateless_normal(kernel.shape, (1, 2)))
        choice = int(np.argmin([relative(kernel, branch) for branch in branches]))
        drawn.add(choice)
        steps = {v.name: v.value for v in selector.trainable_variables}
        gradients = tape.gradient(loss, steps)
        for index, bits in enumerate(selector.bits):
            assert np.any(gradients[f"step_{bits}_bits"]) == (index == choice)
        assert np.abs(gradients["logits"]).min() > 0
    assert drawn == {0, 1, 2}


def test_annealing_hardens_the_mixture():
    layer = randomize(searchable("dense", weight_bits=(1, 2, 4), activation_bits=None, relaxation="annealed"))
    kernel = layer.kernel.value
    branches = [w for _, w in weight_branches(layer)]
    best = branches[int(np.argmax(layer.weight_selector.logits))]
    distances = []
    for temperature in (10.0, 1.0, 0.3, 0.001):
        layer.weight_selector.temperature.assign(temperature)
        distances.append(relative(layer.weight_selector(kernel), best))
    assert distances == sorted(distances, reverse=True) and distances[-1] < 1e-6


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


def test_saved_files_load_in_a_fresh_process(saved_folder):
    """`import tfmp` registers the classes where Keras is loaded, by importing `tfmp.layers`."""
    program = [sys.executable, "-c", SAVED, str(saved_folder)]
    result = subprocess.run(program, capture_output=True, text=True, check=False)
    assert result.stdout.endswith("reloaded\n"), result.stderr[-2000:]
