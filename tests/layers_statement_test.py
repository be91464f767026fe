"""Searchable layers against the paper's statement in float64: outputs, gradients and cost, to 1e-5.

That is relative to the largest entry of a tensor; for the kernels of several candidates, to that of all their
gradients; for the gradients of logits and steps, small differences of large terms, to the sum of these without signs.
"""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras  # noqa: F401 (before TFMOT could be)

import tfmp
import tfmp.keras2
from tests import edmips_statement as statement
from tests.quantizers.variable_state import build
from tfmp import layers, quantizers

TOLERANCE = 1e-5
KERNEL = (3, 2, 3, 4)
# Name, arguments, shapes of input and kernel; groups and dilation, for the statement.
LAYERS = {
    "conv2d": ("Conv2D", {"filters": 4}, (2, 7, 6, 3), KERNEL, {}),
    "grouped": ("Conv2D", {"filters": 6, "groups": 2}, (2, 7, 6, 4), (3, 2, 2, 6), {"groups": 2}),
    "dilated": ("Conv2D", {"filters": 4, "dilation_rate": 2}, (2, 7, 6, 3), KERNEL, {"dilation": 2}),
    "depthwise": ("DepthwiseConv2D", {"depth_multiplier": 2}, (2, 7, 6, 3), (3, 2, 3, 2), {"groups": 3}),
    "conv1d": ("Conv1D", {"filters": 4}, (2, 9, 5), (3, 5, 4), {}),
    "dense": ("Dense", {"units": 6}, (3, 9), (9, 6), {}),
}
ALL = tuple(range(1, 9))
STATE = {"step": 0.021, "deviation": 0.9, "minimum": -1.3, "maximum": 2.1, "seen": 1.0}
# Of the widest candidate's levels that a normal tensor fills; the others follow in fixed ratios.
SMALLEST_DISTANCE = 1e-3  # from where a rounding changes, in steps: float32 knows positions to 3e-5


def draw(rng, shape, families):
    """Normal values none of which lies where float32 could round it to another level, at any candidate."""
    x = rng.normal(size=shape).astype(np.float32)
    for _ in range(500):
        found = [quantized(x.astype(np.float64)) for quantized in families]
        near = np.min([one.distance for one in found], axis=0) < SMALLEST_DISTANCE
        if not near.any():
            return x, found
        x[near] = rng.normal(size=near.sum())
    raise RuntimeError("Every draw has a value that is close to a tie.")


def error(actual, expected):
    """Largest difference, in units of the largest expected magnitude."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected)
    assert actual.shape == expected.shape
    return np.abs(actual - expected).max() / max(np.abs(expected).max(), 1e-12)


@pytest.mark.parametrize(
    ("name", "signed"),
    [(name, signed) for name in quantizers.names() for signed in (True, False)[: 1 if name == "dual_precision" else 2]],
)
def test_quantizers(name, signed):
    rng = np.random.default_rng(0)
    for bits, kernel in itertools.product(ALL, (True, False)):
        if (name == "linear" and bits == 1) or (kernel and not signed):
            continue
        state = STATE | {"minimum": -1.3 if signed else 0.0, "step": 2.4 / 2**bits}
        if kernel:
            state["step"] *= rng.uniform(0.5, 1.5, (*[1] * (len(KERNEL) - 1), KERNEL[-1]))

        def exact(x, bits=bits, kernel=kernel, state=state):
            return statement.quantize(name, x, bits, signed=signed, kernel=kernel, state=state)

        x, (expected,) = draw(rng, KERNEL, [exact])
        upstream = rng.normal(size=KERNEL).astype(np.float32)
        quantizer, axes = quantizers.get(name, bits=bits, signed=signed), (-1,) if kernel else None
        variables = build(quantizer, channel_axes=axes, shape=KERNEL)
        for path, variable in variables.items():
            variable.assign(state[path])
        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            found = quantizer(x, variables, channel_axes=axes)
            loss = tf.reduce_sum(found * upstream)
        assert error(found, expected.values) < TOLERANCE, bits
        if "step" in variables:
            by_input, by_step = tape.gradient(loss, (x, variables["step"]))
            spanned = tuple(axis for axis, size in enumerate(by_step.shape) if size == 1) if kernel else None
            terms = (upstream * expected.by_state).sum(axis=spanned, keepdims=kernel)
            assert error(by_step, terms) < TOLERANCE, bits
        else:
            by_input = tape.gradient(loss, x)
        assert error(by_input, upstream * expected.inside) < TOLERANCE, bits


def check(
    package=layers, kind="conv2d", *, quantizer="lsq", stride=1, padding="same", relaxation="softmax", seed=0, **options
):
    """Compares one layer with the statement."""
    name, arguments, input_shape, kernel_shape, geometry = LAYERS[kind]
    arguments = {**arguments, "use_bias": False, "relaxation": relaxation, "quantizer": quantizer}
    if kind != "dense":
        arguments |= {"kernel_size": kernel_shape[: len(input_shape) - 2], "strides": stride, "padding": padding}
        geometry = {**geometry, "stride": stride, "padding": padding}
    rng, pair = np.random.default_rng(seed), (quantizer, quantizer) if isinstance(quantizer, str) else quantizer
    options = {"weight_bits": ALL, "activation_bits": ALL, "coupled": False, "signed_input": False} | options
    coupled, training = options["coupled"], pair[1] != "moving_range"  # whose range training moves
    layer = getattr(package, f"MixedPrecision{name}")(name=f"seed_{seed}", **arguments, **options)
    layer.build((None, *input_shape[1:]))
    selectors = layer.weight_selector, layer.activation_selector
    kernel_state = dict(STATE)
    for name, value in STATE.items():
        for selector in selectors:
            for variable in [v for v in selector.variables if name_of(v) == name]:
                own = value * rng.uniform(0.7, 1.3, variable.shape) if len(variable.shape) else value
                variable.assign(own)
                if selector is layer.weight_selector:
                    kernel_state[name] = own
    choices, prices = [], rng.normal(size=[len(selector.bits) for selector in selectors]).astype(np.float32)
    layer.selection_cost.set_price(prices)
    for selector in selectors[: 1 if coupled else 2]:
        logits = rng.normal(size=len(selector.bits)).astype(np.float32)
        selector.logits.assign(logits)
        noise = None
        if relaxation != "softmax":
            selector.temperature.assign(0.7)
        if relaxation == "gumbel":
            selector.sampling_step.assign(5)
            uniform = tf.random.stateless_uniform(logits.shape, (selector.seed, 5), minval=1e-7)
            noise = -np.log(-np.log(np.asarray(uniform, np.float64)))
        choices.append(statement.Choice(logits.astype(np.float64), relaxation, 0.7, noise))
    choices = choices * 2 if coupled else choices

    def family(tensor, name, bits, signed):
        is_kernel = tensor == "kernel"
        return [
            lambda x, b=b: statement.quantize(
                name, x, b, signed=signed, kernel=is_kernel, state=kernel_state if is_kernel else STATE, widest=bits[-1]
            )
            for b in bits
        ]

    x, activations = draw(
        rng, input_shape, family("input", pair[1], options["activation_bits"], options["signed_input"])
    )
    each = family("kernel", pair[0], options["weight_bits"], True)
    if layer.shared_weights:
        kernel, weights = draw(rng, kernel_shape, each)
        kernels = [kernel]
    else:
        kernels, weights = zip(*((k, w) for k, (w,) in (draw(rng, kernel_shape, [one]) for one in each)), strict=True)
    variables = [*(layer.candidate_kernels.kernels if layer.candidate_kernels else ()), layer.kernel]
    for variable, value in zip(variables, kernels, strict=True):
        variable.assign(value)

    steps = [v for selector in selectors for v in selector.variables if name_of(v) == "step"]
    sources = [*variables, *(selector.logits for selector in selectors[: 1 if coupled else 2]), *steps]
    sources = [getattr(variable, "value", variable) if package is layers else variable for variable in sources]
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = layer(x, training=training)
        upstream = np.random.default_rng(1).normal(size=output.shape).astype(np.float32)
        loss = tf.reduce_sum(output * upstream) + sum(layer.losses)
    by_input, *found = tape.gradient(loss, [x, *sources])

    if not training:
        prices *= 0
    exact = (array.astype(np.float64) for array in (upstream, prices))
    expected = statement.layer(weights, activations, choices, *exact, coupled=coupled, **geometry)
    errors = {"output": error(output, expected["output"]), "input": error(by_input, expected["input"])}
    if training:
        errors["cost"] = error(sum(layer.losses), expected["cost"])
    by_kernel = [sum(expected["kernels"])] if layer.shared_weights else expected["kernels"]
    largest = max(np.abs(gradient).max() for gradient in by_kernel)
    for index, gradient in enumerate(by_kernel):
        errors[f"kernel {index}"] = np.abs(found.pop(0) - gradient).max() / largest
    for index, (gradient, terms) in enumerate(expected["logits"]):  # which may nearly cancel
        errors[f"logits {index}"] = np.abs(found.pop(0) - gradient).max() / terms.max()
    trained = [terms for name, terms in zip(pair, expected["steps"], strict=True) if name == "lsq"]
    for index, (gradient, terms) in enumerate(zip(found, trained, strict=True)):
        spanned = tuple(axis for axis in range(terms.ndim) if not gradient.shape.rank or gradient.shape[axis] == 1)
        wanted, sizes = (np.sum(each, axis=spanned, keepdims=True) for each in (terms, np.abs(terms)))
        errors[f"step {index}"] = np.max(np.abs(gradient - wanted) / sizes)
    assert all(
        np.abs(gradient).max() > 0 for gradient in (expected["input"], *(pair[0] for pair in expected["logits"]))
    )
    assert max(errors.values()) < TOLERANCE, errors


def name_of(variable):
    return variable.name.split("/")[-1].split(":")[0]


VARIANTS = {
    "shared": {},
    "own_kernels": {"shared_weights": False},
    "coupled": {"coupled": True},
    "coupled_own_kernels": {"coupled": True, "shared_weights": False},
}
variants = pytest.mark.parametrize("variant", VARIANTS)


@pytest.mark.default_cases("lsq-2-same-*", "lsq-1-valid-shared", "hwgq-3-valid-coupled")
@variants
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("quantizer", ["lsq", "hwgq"])
def test_strides_and_paddings(quantizer, stride, padding, variant):
    check(quantizer=quantizer, stride=stride, padding=padding, seed=stride, **VARIANTS[variant])


@pytest.mark.default_cases("lsq-annealed-shared", "lsq-annealed-coupled_own_kernels", "hwgq-gumbel-coupled")
@variants
@pytest.mark.parametrize("relaxation", ["annealed", "gumbel"])
@pytest.mark.parametrize("quantizer", ["lsq", "hwgq"])
def test_relaxations(quantizer, relaxation, variant):
    for seed in range(2):
        check(quantizer=quantizer, stride=2, relaxation=relaxation, seed=seed, **VARIANTS[variant])


@pytest.mark.default_cases("*-shared", "linear-coupled_own_kernels")
@variants
@pytest.mark.parametrize(
    "options",
    [
        {"quantizer": "lsq", "signed_input": True},
        {"quantizer": "linear", "weight_bits": ALL[1:], "activation_bits": ALL[1:]},
        {"quantizer": ("dual_precision", "moving_range"), "signed_input": True},
    ],
    ids=["lsq_signed", "linear", "dual_precision"],
)
def test_other_quantizers(options, variant):
    check(**options, **VARIANTS[variant])


@pytest.mark.default_cases("grouped-shared", "depthwise-coupled_own_kernels", "dense-shared")
@pytest.mark.parametrize("variant", ["shared", "coupled_own_kernels"])
@pytest.mark.parametrize("kind", [kind for kind in LAYERS if kind != "conv2d"])
def test_other_layers(kind, variant):
    stride, padding = (1, "same") if kind == "dilated" else (2, "valid")
    check(kind=kind, stride=stride, padding=padding, **VARIANTS[variant])


@variants
@pytest.mark.parametrize("quantizer", ["lsq", "hwgq"])
def test_layers_of_tf_keras(quantizer, variant):
    check(tfmp.keras2, quantizer=quantizer, stride=2, relaxation="gumbel", **VARIANTS[variant])


@pytest.mark.default_cases("((1, 2, 3, 4), (2, 3, 4))")
@pytest.mark.parametrize("bits", [((1, 2, 3, 4), (2, 3, 4)), ((1, 4), (2, 4)), ((2, 4), (2, 4))], ids=str)
def test_search_spaces_of_the_paper(bits):
    """Eq. 17, section 5.6 and figure 4."""
    check(quantizer="hwgq", weight_bits=bits[0], activation_bits=bits[1])


@pytest.mark.parametrize("coupled", [False, True], ids=["decoupled", "coupled"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_cost(stride, coupled):
    """Eq. 12, E[b_w] E[b_a] |f| w h / s**2; E[b_w b_a] where the bits are coupled."""
    inputs, bits, rng = keras.Input((12, 6, 3)), ((1, 2, 8), (2, 4, 5)), np.random.default_rng(0)
    layer = layers.MixedPrecisionConv2D(
        4, (3, 2), strides=stride, padding="same", weight_bits=bits[0], activation_bits=bits[1], coupled=coupled
    )
    model = keras.Model(inputs, layer(inputs))
    odds = [rng.normal(size=3) for _ in bits]
    layer.activation_selector.logits.assign(odds[1])
    layer.weight_selector.logits.assign(odds[0])
    p, q = (statement.softmax(logits) for logits in odds)
    expected = p @ np.multiply(*bits) if coupled else (p @ bits[0]) * (q @ bits[1])
    assert tfmp.cost(model, "bitops") == pytest.approx(expected * (3 * 2 * 3 * 4) * 12 * 6 / stride**2, rel=1e-6)


PRODUCTS = {  # of the sizes in LAYERS: outputs, by stride 2 and "same", times the weights that make one
    "conv2d": (4 * 3 * 4) * (3 * 2 * 3),
    "grouped": (4 * 3 * 6) * (3 * 2 * 2),
    "depthwise": (4 * 3 * 6) * (3 * 2),
    "conv1d": (5 * 4) * (3 * 5),
    "dense": 6 * 9,
}


@pytest.mark.parametrize("kind", PRODUCTS)
def test_cost_of_every_layer(kind):
    """Eq. 12 with the products that the layer computes, of a group's channels alone."""
    name, arguments, input_shape, kernel_shape, _ = LAYERS[kind]
    arguments = {**arguments, "weight_bits": (1, 3), "activation_bits": (2, 4)}
    if kind != "dense":
        arguments |= {"kernel_size": kernel_shape[: len(input_shape) - 2], "strides": 2, "padding": "same"}
    layer = getattr(layers, f"MixedPrecision{name}")(**arguments)
    inputs = keras.Input(input_shape[1:])
    model = keras.Model(inputs, layer(inputs))
    assert tfmp.cost(model, "bitops") == pytest.approx(2 * 3 * PRODUCTS[kind], rel=1e-6)
