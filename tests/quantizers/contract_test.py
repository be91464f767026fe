"""What every quantizer promises, at every bit-width, for every tensor that it is allowed to quantize."""

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from tests.quantizers.variable_state import build, numbers
from tfmp import quantizers
from tfmp.graph import CodeFormat

pytestmark = pytest.mark.compiled

WEIGHTS, ACTIVATIONS = (-1,), None  # channel axes of the two roles


class Case(NamedTuple):
    name: str
    bits: int
    signed: bool
    channel_axes: tuple[int, ...] | None

    @property
    def quantizer(self):
        return quantizers.get(self.name, bits=self.bits, signed=self.signed)

    @property
    def family(self):
        return self.name.partition("(")[0]


# name: smallest bits, (signed, role) where it may stand
FAMILIES = {
    "lsq": (1, [(True, WEIGHTS), (True, ACTIVATIONS), (False, ACTIVATIONS)]),
    "lsq(granularity='tensor')": (1, [(True, WEIGHTS)]),
    "hwgq": (1, [(True, WEIGHTS), (False, ACTIVATIONS)]),
    "hwgq(granularity='channel')": (1, [(True, WEIGHTS)]),
    "dual_precision": (1, [(True, WEIGHTS)]),
    "linear": (2, [(True, WEIGHTS), (True, ACTIVATIONS), (False, ACTIVATIONS)]),
    "linear(granularity='tensor')": (2, [(True, WEIGHTS)]),
    "moving_range": (1, [(True, ACTIVATIONS), (False, ACTIVATIONS)]),
}
CASES = [
    Case(name, bits, signed, channel_axes)
    for name, (min_bits, roles) in FAMILIES.items()
    for bits in range(min_bits, 9)
    for signed, channel_axes in roles
]
EVERY_OTHER = [case for case in CASES if case.bits in (1, 2, 8)]


_IN_IDS = str.maketrans("(=", "__", "')")


def identify(case):
    sign = "signed" if case.signed else "unsigned"
    return (
        f"{case.name.translate(_IN_IDS)}-{case.bits}-{sign}-{'activations' if case.channel_axes is None else 'weights'}"
    )


def params(cases):
    """All cases; 3, 5, 6 and 7 bits, which take the paths of 4, are slow."""
    slow = [case for case in cases if case.bits in (3, 5, 6, 7)]
    return [pytest.param(case, id=identify(case), marks=[pytest.mark.slow] * (case in slow)) for case in cases]


every_case = pytest.mark.parametrize("case", params(CASES))
every_other_case = pytest.mark.parametrize("case", EVERY_OTHER, ids=identify)


def data(case, shape=(6, 5, 4), seed=0):
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return x if case.signed else np.maximum(x, 0)


def follows_moments(case):
    """True if the step is computed from a mean over the kernel itself."""
    return case.family == "dual_precision" or (case.family == "hwgq" and case.signed)


def expected_format(case):
    """low, high of the codes, as the design says it."""
    bits = case.bits
    if not case.signed:
        return 0, 2**bits - 1
    if case.family == "hwgq" or bits == 1 and case.family in ("lsq", "dual_precision"):
        return -(2**bits - 1), 2**bits - 1  # odd numbers
    if case.family in ("linear", "dual_precision") or (case.family == "lsq" and bits == 8):
        return -(2 ** (bits - 1) - 1), 2 ** (bits - 1) - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def quantize_with_gradient(case, x, state):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = case.quantizer(x, state, channel_axes=case.channel_axes)
        loss = tf.reduce_sum(tf.square(output))
    trained = [variable for variable in state.values() if variable.trainable]
    return output, tape.gradient(loss, [x, *trained])


def test_the_list_is_complete():
    assert {name.partition("(")[0] for name in FAMILIES} == set(quantizers.names())
    classes = {each for each in quantizers.Quantizer.__subclasses__() if each.__module__.startswith("tfmp.")}
    assert {type(case.quantizer) for case in CASES} == classes - {quantizers.Stored}


def test_a_stored_tensor_is_left_as_it_is():
    stored, x = quantizers.get("stored", bits=8, signed=False), tf.constant([0.0, 0.3])
    assert stored(x, {}) is x and quantizers.is_known("stored")
    with pytest.raises(ValueError, match="take the grid of that layer"):
        stored.codes(x, {})
    with pytest.raises(ValueError, match="`bits` must be"):
        quantizers.get("stored", bits=4)


@every_case
def test_codes_are_integers_of_the_format(case):
    quantizer, x = case.quantizer, 3 * data(case)
    assert (quantizer.format.low, quantizer.format.high) == expected_format(case)
    assert quantizer.format.bits == case.bits
    state = build(quantizer, channel_axes=case.channel_axes, values=data(case, seed=1))
    integers, scale = (
        tensor.numpy() for tensor in quantizer.codes(tf.constant(x), state, channel_axes=case.channel_axes)
    )
    assert integers.shape == x.shape
    np.testing.assert_array_equal(integers, np.rint(integers))
    assert np.all(scale > 0)
    if case.name == "moving_range":
        assert integers.max() - integers.min() <= 2**case.bits - 1
    else:
        assert integers.min() >= quantizer.format.low
        assert integers.max() <= quantizer.format.high


@every_case
def test_value_is_integers_times_scale_bit_for_bit(case):
    quantizer, x = case.quantizer, data(case)
    state = build(quantizer, channel_axes=case.channel_axes, values=x)
    for wrap in (lambda f: f, tf.function) if case.bits in (1, 4, 8) else (lambda f: f,):

        @wrap
        def both(x):
            value = quantizer(x, state, channel_axes=case.channel_axes)
            return value, *quantizer.codes(x, state, channel_axes=case.channel_axes)

        value, integers, scale = (tensor.numpy() for tensor in both(tf.constant(x)))
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, integers * scale)
        assert scale.shape == () or (case.channel_axes and scale.shape == (1, 1, 4))


@every_case
def test_least_squares_is_no_worse_than_the_start_of_training(case):
    x = np.random.default_rng(2).standard_t(4, size=(3000, 4)).astype(np.float32)
    x = x if case.signed else np.maximum(x, 0)

    def error(start):
        state = build(case.quantizer, channel_axes=case.channel_axes, values=x, start=start)
        return np.square(case.quantizer(tf.constant(x), state, channel_axes=case.channel_axes) - x).mean()

    assert error("least_squares_state") <= 1.0001 * min(error("initial_state"), error("fitted_state"))


@every_case
def test_all_levels_are_used(case):
    bulk = np.random.default_rng(0).normal(size=20000)
    x = np.concatenate([bulk, np.linspace(-6, 6, 1500)]).astype(np.float32)[:, None]
    x = x if case.signed else np.maximum(x, 0)
    if case.name == "moving_range":
        x = np.maximum(x, -4)  # one bit, zero a level: of a symmetric range nothing but zero would be left
    quantizer = case.quantizer
    state = build(quantizer, channel_axes=case.channel_axes, values=x, start="fitted_state")
    found = np.unique(quantizer.codes(tf.constant(x), state, channel_axes=case.channel_axes)[0])
    narrow = expected_format(case)[0] == -expected_format(case)[1] and set(np.diff(found)) == {1}
    assert len(found) == 2**case.bits - narrow
    assert len(set(np.diff(found))) == 1


@pytest.mark.parametrize("case", params([c for c in CASES if not follows_moments(c)]))
def test_a_quantized_tensor_is_its_own_quantization(case):
    """All but those whose step follows a deviation or mean magnitude that rounding changes."""
    quantizer, x = case.quantizer, data(case)
    state = build(quantizer, channel_axes=case.channel_axes, values=x)
    once = quantizer(tf.constant(x), state, channel_axes=case.channel_axes)
    twice = quantizer(once, state, channel_axes=case.channel_axes)
    np.testing.assert_allclose(twice, once, rtol=3e-7)
    codes = [quantizer.codes(tensor, state, channel_axes=case.channel_axes) for tensor in (once, x)]
    np.testing.assert_array_equal(codes[0][0], codes[1][0])


@every_case
def test_levels_keep_the_order_of_the_values(case):
    x = np.sort(data(case, shape=(200, 1)), axis=0)
    state = build(case.quantizer, channel_axes=case.channel_axes, values=x)
    integers = case.quantizer.codes(tf.constant(x), state, channel_axes=case.channel_axes)[0]
    assert np.all(np.diff(integers, axis=0) >= 0)


@every_other_case
def test_any_shape(case):
    for shape in [(), (1,), (7,), (0, 3), (1, 1, 1, 1), (2, 1, 5), (2, 3, 1, 2, 2)]:
        now = case._replace(channel_axes=None) if shape == () else case
        state = build(case.quantizer, channel_axes=now.channel_axes, shape=shape)
        output, gradients = quantize_with_gradient(now, np.asarray(data(case, shape=shape)), state)
        assert output.shape == gradients[0].shape == shape
        assert all(np.all(np.isfinite(tensor)) for tensor in (output, *gradients)), shape


@every_other_case
@pytest.mark.parametrize("value", [0.0, 1.0, 1e-20, 1e6])
def test_constant_tensors_stay_finite(case, value):
    x, other = np.full((3, 4, 2), value, np.float32), data(case, shape=(3, 4, 2))
    for values, start in [(x, "initial_state"), (x, "fitted_state"), (other, "initial_state"), (None, "")]:
        state = build(case.quantizer, channel_axes=case.channel_axes, shape=x.shape, values=values, start=start)
        if case.channel_axes is None:
            case.quantizer.observe(tf.constant(x), state)
        output, gradients = quantize_with_gradient(case, x, state)
        assert all(np.all(np.isfinite(tensor)) for tensor in (output, *gradients, *state.values()))
        if value == 0.0 and not case.quantizer.offset:
            np.testing.assert_array_equal(output, x)


@every_other_case
def test_training_stays_finite_and_descends(case):
    x = tf.Variable(data(case))
    target = tf.constant(data(case, seed=2))
    state = build(case.quantizer, channel_axes=case.channel_axes, values=data(case, seed=1))
    trained = [x, *(variable for variable in state.values() if variable.trainable)]

    @tf.function
    def step(learning_rate):
        with tf.GradientTape() as tape:
            if case.channel_axes is None:
                case.quantizer.observe(x, state)
            loss = tf.reduce_mean(tf.square(case.quantizer(x, state, channel_axes=case.channel_axes) - target))
        for variable, gradient in zip(trained, tape.gradient(loss, trained), strict=True):
            variable.assign_sub(learning_rate * gradient)
        return loss

    losses = [float(step(tf.constant(5.0))) for _ in range(30)]
    if not (case.name == "moving_range" and case.bits == 1):  # its only level beside zero moves with the data
        assert losses[-1] < losses[0]
    losses += [float(step(tf.constant(rate))) for rate in (1e4, *[5.0] * 30)]  # one step out of any range
    assert np.all(np.isfinite(losses))
    assert all(np.all(np.isfinite(variable)) for variable in (x, *state.values()))


@every_case
def test_gradient_of_the_tensor_is_zero_or_one(case):
    x = 2 * data(case)
    state = build(case.quantizer, channel_axes=case.channel_axes, values=data(case))
    with tf.GradientTape() as tape:
        tape.watch(x := tf.constant(x))
        output = tf.reduce_sum(case.quantizer(x, state, channel_axes=case.channel_axes))
    gradient = tape.gradient(output, x).numpy()
    integers, scale = case.quantizer.codes(x, state, channel_axes=case.channel_axes)
    if case.family == "linear" or follows_moments(case):
        np.testing.assert_array_equal(gradient, np.ones_like(x))  # the identity everywhere
        return
    low, high = case.quantizer.format.low, case.quantizer.format.high
    scale = scale.numpy().astype(np.float64)
    if case.name == "moving_range":
        low = -np.rint(-float(state["minimum"]) / scale)
        high = low + 2**case.bits - 1
    # In float64: values nearer to an edge than float32 resolves are left out.
    position = x.numpy().astype(np.float64) / scale
    clear = (np.abs(position - low) > 1e-4) & (np.abs(position - high) > 1e-4)
    np.testing.assert_array_equal(gradient[clear], ((position >= low) & (position <= high))[clear])


@every_case
def test_a_shared_state_and_the_state_converted_from_it_give_the_same_levels(case):
    widest = quantizers.get(case.name, bits=8, signed=case.signed)
    x = data(case)
    shared = build(widest, channel_axes=case.channel_axes, values=x, start="fitted_state")
    own = build(case.quantizer, channel_axes=case.channel_axes, shape=x.shape)
    converted = case.quantizer.convert_state(numbers(shared), widest)
    assert converted.keys() == own.keys()
    for name, value in converted.items():
        own[name].assign(value)
    grids = (
        case.quantizer.grid(tf.constant(x), shared, widest=widest, channel_axes=case.channel_axes),
        case.quantizer.grid(tf.constant(x), own, channel_axes=case.channel_axes),
    )
    for field in ("step", "low", "high", "offset"):
        np.testing.assert_allclose(getattr(grids[0], field), getattr(grids[1], field), rtol=1e-6)


@pytest.mark.parametrize("case", [case for case in CASES if case.bits == 8], ids=identify)
def test_the_grids_of_a_family_are_those_of_each_of_its_quantizers(case):
    x = tf.constant(data(case))
    min_bits = FAMILIES[case.name][0]
    family = [quantizers.get(case.name, bits=bits, signed=case.signed) for bits in range(min_bits, 9)]
    state = build(case.quantizer, channel_axes=case.channel_axes, values=x.numpy(), start="fitted_state")
    trained = [variable for variable in state.values() if variable.trainable]

    def steps_and_gradients(grids_of):
        with tf.GradientTape() as tape:
            grids = grids_of()
            loss = tf.add_n([(1 + i) * tf.reduce_sum(grid.step) for i, grid in enumerate(grids)])
        return grids, tape.gradient(loss, trained)

    found, gradients = steps_and_gradients(
        lambda: case.quantizer.grids(x, state, family, channel_axes=case.channel_axes)
    )
    each, expected = steps_and_gradients(
        lambda: [q.grid(x, state, widest=case.quantizer, channel_axes=case.channel_axes) for q in family]
    )
    for actual, wanted in zip(found, each, strict=True):
        for field in wanted._fields:
            np.testing.assert_allclose(getattr(actual, field), getattr(wanted, field), rtol=1e-6)
    for actual, wanted in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-5)


@every_case
def test_state_names_are_those_that_data_can_set(case):
    state = build(case.quantizer, channel_axes=case.channel_axes, shape=data(case).shape)
    for method in ("initial_state", "fitted_state", "least_squares_state"):
        values = getattr(case.quantizer, method)(data(case), channel_axes=case.channel_axes)
        assert values.keys() <= state.keys()
        assert all(np.shape(value) == state[name].shape for name, value in values.items())
    assert [name for name, variable in state.items() if variable.trainable] == (
        ["step"] if case.family == "lsq" else []
    )


@every_case
def test_is_a_value(case):
    quantizer = case.quantizer
    assert quantizer == case.quantizer and hash(quantizer) == hash(case.quantizer)
    assert quantizer == quantizers.get(case.name, bits=np.int64(case.bits), signed=case.signed)
    assert quantizer != dataclasses.replace(quantizer, bits=3 if case.bits != 3 else 4)
    assert len({quantizer, case.quantizer}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        quantizer.bits = 3
    assert isinstance(quantizer.format, CodeFormat)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("bits", [-1, 0, "smallest - 1", 9, 32, 2.0, True, "2", None, np.float32(2)], ids=repr)
def test_bits_out_of_range_name_the_range(name, bits):
    smallest, family = FAMILIES[name][0], name.partition("(")[0]
    bits = smallest - 1 if bits == "smallest - 1" else bits
    with pytest.raises(ValueError, match=f"`{family}`: `bits` must be an integer from {smallest} to 8. Received: "):
        quantizers.get(name, bits=bits)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="one of 'lsq', 'hwgq', .*, 'moving_range'. Received: 'pact'"):
        quantizers.get("pact", bits=2)
