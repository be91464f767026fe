"""Fused mixtures on many values, against float64 NumPy and against the unfused computation."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ops.uniform_grid_test import oracle, run
from tfmp import quantizers, relaxation
from tfmp.ops import UniformGrid, codes, fused_mixture, mix

pytestmark = pytest.mark.compiled

EIGHT_BITS = [(6.0 / 2**bits, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 0.0, True) for bits in range(1, 9)]
MIXTURES = {
    "signed_1_to_8_bits": [(3.2, -1, 0, 0.5, True), *EIGHT_BITS[1:]],
    "unsigned_1_to_8_bits": [(2.9 / 2**bits, 0, 2**bits - 1, 0.0, True) for bits in range(1, 9)],
    "mid_rise_with_identity_gradient": [
        (3.0 / 2**bits, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 0.5, False) for bits in (1, 2, 4)
    ],
    "of_both_gradients": [(0.8, -2, 1, 0.0, False), (0.3, -8, 7, 0.0, True)],
    "widest_first": [(0.1, -8, 7, 0.0, True), (0.5, -2, 1, 0.0, True)],
    "equal_grids": [(0.5, -2, 1, 0.0, True), (0.5, -2, 1, 0.0, True)],
}


def far_from_ties(x, grids):
    """The values at which float32 decides as float64 does, the others 0.3 steps of the finest grid away."""
    for step, _, _, offset, _ in grids * 3:
        for distance in (0.0, 0.5):
            near = np.abs((x / step - offset + distance) % 1 - 0.5) > 0.5 - 1e-4
            x = np.where(near, x + 0.017 * min(grid[0] for grid in grids), x)
    return x.astype(np.float32)


@pytest.mark.default_cases("unsigned_1_to_8_bits", "of_both_gradients", "widest_first")
@pytest.mark.parametrize("name", MIXTURES)
def test_gradients_over_many_values(name):
    grids = MIXTURES[name]
    rng = np.random.default_rng(0)
    x = far_from_ties(rng.normal(size=60_000), grids)
    upstream = rng.normal(size=x.shape).astype(np.float32)
    probabilities = rng.dirichlet(np.ones(len(grids))).astype(np.float32)
    expected = oracle(x.astype(np.float64), probabilities.astype(np.float64), grids, upstream.astype(np.float64))
    output, dx, dp, dsteps = run(x, probabilities, grids, upstream)
    np.testing.assert_allclose(output, expected[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(dx, expected[1], rtol=1e-5, atol=1e-5)
    # Of sums, a rounding error grows with the root of what is added.
    scale = np.sqrt(np.sum(np.square(upstream * x)))
    np.testing.assert_allclose(dp, expected[2], rtol=1e-5, atol=1e-5 * scale)
    for step, actual, wanted in zip((grid[0] for grid in grids), dsteps, expected[3], strict=True):
        np.testing.assert_allclose(step * actual, step * wanted, rtol=1e-5, atol=1e-6 * scale)


@settings(max_examples=20, deadline=None)
@given(
    ratios=st.lists(st.sampled_from([0.25, 0.5, 1.0, 2.0, 3.0]), min_size=2, max_size=2),
    codes=st.lists(st.integers(-12, 12), min_size=1, max_size=16),
    seed=st.integers(0, 99),
)
def test_values_on_thresholds_of_several_grids_belong_to_a_neighbouring_level(ratios, codes, seed):
    """Each value counts, in every gradient, as one of the levels next to it: half a step away at most."""
    grids = [(ratio, -2, 1, 0.0, True) for ratio in ratios]
    x = 0.25 * np.resize(codes, 16).astype(np.float32)
    upstream = np.abs(np.random.default_rng(seed).normal(size=x.shape)).astype(np.float32)
    _, _, dp, _ = run(x, np.full(2, 0.5, np.float32), grids, upstream)
    for i, (step, low, high, _, _) in enumerate(grids):
        position = x / step
        ends = [np.clip(end, low, high) * step for end in (np.ceil(position - 0.5), np.floor(position + 0.5))]
        lowest, highest = (np.sum(upstream * end, dtype=np.float64) for end in ends)
        assert lowest - 1e-4 <= dp[i] <= highest + 1e-4


CHANNELS = {  # shape of the tensor, and of the steps
    "convolution": ((3, 3, 60, 61), (1, 1, 1, 61)),
    "depthwise": ((3, 3, 1830, 2), (1, 1, 1830, 2)),
    "transposed": ((3, 2, 70, 80), (1, 1, 70, 1)),
    "one_channel": ((3, 5, 2200, 1), (1, 1, 1, 1)),
    "many_values": ((96, 10, 64), (1, 1, 64)),
}


@pytest.mark.default_cases("convolution-separate", "depthwise-shared", "transposed-separate", "many_values-*")
@pytest.mark.parametrize("ratios", [(1.0, 1.0, 1.0), (1.0, 0.6, 3.1)], ids=["shared", "separate"])
@pytest.mark.parametrize("name", CHANNELS)
def test_gradients_with_a_step_for_each_channel(name, ratios):
    """Against the plain computation in float64; a step is that of a family, or each grid's own."""
    shape, step_shape = CHANNELS[name]
    rng = np.random.default_rng(3)
    spread = rng.uniform(0.01, 3.0, step_shape)
    steps = [
        spread * step * rng.uniform(min(ratio, 1), max(ratio, 1), step_shape)
        for (step, *_), ratio in zip(MIXTURES["signed_1_to_8_bits"][:3], ratios, strict=True)
    ]
    rest = [grid[1:] for grid in MIXTURES["signed_1_to_8_bits"][:3]]
    x = rng.normal(size=shape) * spread
    for step, (_, _, offset, _) in [*zip(steps, rest, strict=True)] * 3:
        for distance in (0.0, 0.5):
            near = np.abs((x / step - offset + distance) % 1 - 0.5) > 0.5 - 1e-4
            x = np.where(near, x + 0.017 * step, x)
    upstream, probabilities = rng.normal(size=shape), rng.dirichlet(np.ones(3))
    expected, actual = (
        plain_or_fused(x, probabilities, steps, rest, upstream, dtype) for dtype in (tf.float64, tf.float32)
    )
    for wanted, found in zip(expected[:2], actual[:2], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    scale = np.sqrt(np.sum(np.square(upstream * x)))
    np.testing.assert_allclose(actual[2], expected[2], rtol=1e-5, atol=1e-5 * scale)
    for step, wanted, found in zip(steps, expected[3:], actual[3:], strict=True):
        np.testing.assert_allclose(step * found, step * wanted, rtol=1e-5, atol=1e-6 * scale)


def plain_or_fused(x, probabilities, steps, rest, upstream, dtype):
    """Returns output and gradients; only float32 is fused."""
    x, probabilities, upstream, *steps = (tf.constant(each, dtype) for each in (x, probabilities, upstream, *steps))
    grids = [UniformGrid(step, *fields) for step, fields in zip(steps, rest, strict=True)]
    assert fused_mixture.is_fusible(x, grids) == (dtype == tf.float32)
    with tf.GradientTape() as tape:
        tape.watch([x, probabilities, *steps])
        output = mix(x, probabilities, grids)
    gradients = tape.gradient(output, [x, probabilities, *steps], output_gradients=upstream)
    return [each.numpy() for each in (output, *gradients)]


def grids_of(name, count):
    return [UniformGrid(tf.constant(step), *rest) for step, *rest in MIXTURES[name][:count]]


def test_values_that_are_not_numbers_spoil_the_output_and_the_gradients_of_the_steps():
    x = np.array([0.3, np.nan, 0.7], np.float32)
    output, dx, _, dsteps = run(x, np.full(2, 0.5, np.float32), MIXTURES["equal_grids"], np.ones(3, np.float32))
    np.testing.assert_array_equal(np.isnan(output), [False, True, False])
    assert np.all(np.isfinite(dx[::2]))
    assert np.all(np.isnan(dsteps))


def test_a_step_that_is_not_a_number_spoils_the_output_and_the_gradient_of_the_step():
    x = np.array([0.3, -0.2, 0.7], np.float32)
    grids = [(np.nan, *rest) for _, *rest in MIXTURES["equal_grids"]]
    output, _, _, dsteps = run(x, np.full(2, 0.5, np.float32), grids, np.ones(3, np.float32))
    assert np.all(np.isnan(output))
    assert np.all(np.isnan(dsteps))


def test_no_values():
    x = np.zeros((0, 3), np.float32)
    output, dx, dp, dsteps = run(x, np.full(2, 0.5, np.float32), MIXTURES["equal_grids"], x)
    assert output.shape == dx.shape == x.shape
    assert not np.any(dp) and not np.any(dsteps)


@pytest.mark.parametrize("size", [2**19, 99_999])
def test_equal_runs_have_equal_gradients_on_any_number_of_threads(size):
    rng = np.random.default_rng(0)
    x, upstream = rng.normal(size=(2, size)).astype(np.float32)
    first, *others = (run(x, np.full(2, 0.5, np.float32), MIXTURES["widest_first"], upstream) for _ in range(6))
    for other in others:
        for actual, expected in zip(tf.nest.flatten(other), tf.nest.flatten(first), strict=True):
            np.testing.assert_array_equal(actual, expected)


def test_one_grid_is_exact_and_is_left_to_plain_operations_on_a_gpu(monkeypatch):
    """The values of a compiled grid are those of its codes, bit for bit, also where a quotient is nearly a tie."""
    rng = np.random.default_rng(0)
    for step in (0.1, 0.3, 1 / 3):
        ties = (rng.integers(-9, 9, 60_000) + 0.5) * step
        x = tf.constant(np.nextafter(ties.astype(np.float32), rng.normal(size=ties.shape).astype(np.float32)))
        grid = UniformGrid(tf.constant(step), -8, 7)
        assert fused_mixture.is_fusible(x, [grid])
        np.testing.assert_array_equal(mix(x, (1.0,), [grid]), codes(x, grid) * grid.step)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [kind])
    assert not fused_mixture.is_fusible(x, [grid]) and fused_mixture.is_fusible(x, [grid, grid])


def test_what_is_fusible():
    x, grids = tf.zeros((2**14, 3)), grids_of("equal_grids", 2)
    assert fused_mixture.is_fusible(x, grids)
    for change in ({"low": tf.constant(-2.0)}, {"dead_zone": 0.7}):
        assert fused_mixture.is_fusible(x, [grids[0], grids[1]._replace(**change)])
    for step in (tf.ones(3), tf.ones((2, 1)), tf.ones((1, 1, 1))):
        assert not fused_mixture.is_fusible(x, [grids[0], grids[1]._replace(step=step)])
    for other in (tf.cast(x, tf.float64), x[:1000]):
        assert not fused_mixture.is_fusible(other, grids)


def test_without_a_compiler(monkeypatch):
    def refuse(*_, **__):
        def function(*_):
            raise tf.errors.UnimplementedError(None, None, "no compiler")

        return function

    monkeypatch.setattr(tf, "function", refuse)
    assert not fused_mixture.has_compiler.__wrapped__()


def test_passes_over_the_tensor_and_what_is_kept_for_the_gradient_do_not_grow_with_the_candidates():
    size = 2**15 + 16

    def large_operations(count):
        grids = grids_of("signed_1_to_8_bits", count)

        @tf.function(input_signature=[tf.TensorSpec([size]), tf.TensorSpec([count])])
        def gradients(x, probabilities):
            with tf.GradientTape() as tape:
                tape.watch([x, probabilities])
                output = mix(x, probabilities, grids)
            return tape.gradient(output, [x, probabilities])

        graph = gradients.get_concrete_function().graph
        found = [
            op.type
            for op in graph.get_operations()
            if any(size in t.shape.as_list() for t in [*op.inputs, *op.outputs] if t.shape.rank is not None)
        ]
        return sorted(found)

    assert large_operations(2) == large_operations(8)
    assert len(large_operations(8)) < 20


def graph_of_a_gradient(rows, count):
    """Traces a gradient of quantizers of a kernel; returns a weak reference to its graph."""
    family = [quantizers.get("lsq", bits=bits) for bits in (2, 4, 8)][-count:]
    states = [{"step": tf.Variable([[0.1, 0.2, 0.3, 0.4]])}] * count

    @tf.function
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = relaxation.mixture(x, family, states, tf.ones(count) / count, channel_axes=(-1,))
        return tape.gradient(y, x)

    return weakref.ref(gradient.get_concrete_function(tf.TensorSpec([rows, 4])).graph)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("rows", [4, 2**14])
def test_a_graph_is_freed_with_its_function(rows, count):
    graph = graph_of_a_gradient(rows, count)
    gc.collect()
    assert graph() is None
