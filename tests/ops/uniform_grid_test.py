"""Rounding and mixtures against the papers' formulas, written again in float64 NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfmp.ops import UniformGrid, codes, fused_mixture, mix

pytestmark = pytest.mark.compiled

SHAPE = (3, 4, 5)

# (step, low, high, offset, clip_gradient) of every candidate
MIXTURES = {
    "unsigned": [(0.9, 0, 1, 0.0, True), (0.5, 0, 3, 0.0, True), (0.13, 0, 15, 0.0, True)],
    "signed": [(0.7, -2, 1, 0.0, True), (0.21, -8, 7, 0.0, True)],
    "mid_rise_and_mid_tread": [(1.6, -1, 0, 0.5, True), (0.5, -2, 1, 0.0, True), (0.2, -8, 7, 0.0, True)],
    "mid_rise_identity_gradient": [(1.6, -1, 0, 0.5, False), (1.0, -2, 1, 0.5, False), (0.3, -8, 7, 0.5, False)],
    "step_per_channel": [
        (np.array([0.2, 0.4, 0.5, 0.6, 1.1]), -2, 1, 0.0, True),
        (np.array([0.3, 0.1, 0.2, 0.15, 0.25]), -8, 7, 0.0, True),
    ],
    "step_per_channel_kept_axes": [
        (np.linspace(0.4, 1.2, 4).reshape(1, 4, 1), -2, 1, 0.5, False),
        (np.linspace(0.2, 0.7, 4).reshape(1, 4, 1), -4, 3, 0.5, False),
    ],
    "one_candidate": [(0.3, -4, 3, 0.0, True)],
}


@pytest.fixture(params=[True, False], ids=["compiler", "no_compiler"])
def compiler(request, monkeypatch):
    """Mixtures as where XLA compiles, and as where it does not."""
    if not request.param:
        monkeypatch.setattr(fused_mixture, "has_compiler", lambda: False)


def level(x, step, low, high, offset):
    return np.clip(np.rint(x / step - offset), low, high)


def oracle(x, probabilities, grids, upstream, chosen=None):
    """Output and gradients (x, probabilities, steps): EdMIPS, eq. 14, and LSQ, eq. 3 and 5."""
    candidates, dx, dsteps = [], 0.0, []
    for i, (step, low, high, offset, clip_gradient) in enumerate(grids):
        k = level(x, step, low, high, offset) + offset
        position = x / step - offset
        inside = (position >= low) & (position <= high) if clip_gradient else np.ones_like(x)
        passed = probabilities[i] if chosen is None else float(i == chosen)
        candidates.append(k * step)
        dx = dx + passed * inside * upstream
        derivative = passed * upstream * (k - inside * (x / step))
        kept = np.shape(step)
        axes = tuple(a for a in range(x.ndim) if ((1,) * (x.ndim - len(kept)) + kept)[a] == 1)
        dsteps.append(derivative.sum(axes, keepdims=True).reshape(kept))
    mean = sum(p * q for p, q in zip(probabilities, candidates, strict=True))
    output = mean if chosen is None else candidates[chosen]
    return output, dx, np.array([(upstream * q).sum() for q in candidates]), dsteps


def case(name, seed=0):
    """Data without values so near to a tie or an edge that float32 could decide otherwise."""
    rng = np.random.default_rng(seed)
    x = (1.2 * rng.normal(size=SHAPE)).astype(np.float32).astype(np.float64)
    for step, _, _, offset, _ in MIXTURES[name]:
        for distance in (0.0, 0.5):
            near = np.abs((x / step - offset + distance) % 1 - 0.5) > 0.499
            x = np.where(near, x + 0.004 * np.asarray(step), x)
    x = x.astype(np.float32)
    count = len(MIXTURES[name])
    probabilities = np.ones(1) if count == 1 else rng.dirichlet(np.ones(count))
    return x, probabilities.astype(np.float32), rng.normal(size=SHAPE).astype(np.float32)


def run(x, probabilities, grids, upstream, *, wrap=lambda f: f):
    x, probabilities, upstream = tf.constant(x), tf.constant(probabilities), tf.constant(upstream)
    steps = [tf.constant(grid[0], tf.float32) for grid in grids]

    @wrap
    def function(x, probabilities, upstream, *steps):
        with tf.GradientTape() as tape:
            tape.watch([x, probabilities, *steps])
            now = [UniformGrid(step, *grid[1:]) for step, grid in zip(steps, grids, strict=True)]
            output = mix(x, probabilities, now)
        return output, *tape.gradient(output, [x, probabilities, *steps], output_gradients=upstream)

    output, dx, dp, *dsteps = function(x, probabilities, upstream, *steps)
    return output, dx, dp, dsteps


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MIXTURES)
def test_mixture_and_its_gradients(name, compiler):
    x, probabilities, upstream = case(name)
    expected = oracle(x.astype(np.float64), probabilities, MIXTURES[name], upstream)
    output, dx, dp, dsteps = run(x, probabilities, MIXTURES[name], upstream)
    close(output, expected[0])
    close(dx, expected[1])
    if len(probabilities) > 1:
        close(dp, expected[2])
    for actual, wanted in zip(dsteps, expected[3], strict=True):
        assert actual.shape == wanted.shape
        close(actual, wanted)


@pytest.mark.parametrize("name", [name for name in MIXTURES if len(MIXTURES[name]) > 1])
def test_one_hot_mixture_passes_gradients_through_the_chosen_candidate_and_to_all_probabilities(name, compiler):
    grids = MIXTURES[name]
    x, _, upstream = case(name, seed=1)
    for chosen in range(len(grids)):
        one_hot = np.eye(len(grids), dtype=np.float32)[chosen]
        expected = oracle(x.astype(np.float64), one_hot, grids, upstream, chosen)
        output, dx, dp, dsteps = run(x, one_hot, grids, upstream)
        close(output, expected[0])
        close(dx, expected[1])
        close(dp, expected[2])
        assert np.all(np.abs(dp) > 1e-3)
        for i, (actual, wanted) in enumerate(zip(dsteps, expected[3], strict=True)):
            close(actual, wanted)
            assert bool(np.any(np.asarray(actual) != 0)) == (i == chosen)


def test_one_hot_mixture_is_the_tensor_of_the_chosen_candidate(compiler):
    grids = [UniformGrid(tf.constant(step), *rest) for step, *rest in MIXTURES["mid_rise_and_mid_tread"]]
    x = tf.constant(case("mid_rise_and_mid_tread")[0])
    for chosen, grid in enumerate(grids):
        one_hot = tf.one_hot(chosen, len(grids))
        np.testing.assert_array_equal(mix(x, one_hot, grids), mix(x, (1.0,), (grid,)))


def test_mixture_of_grids_that_start_elsewhere():
    lows = [-1.0, -3.0]
    grids = [UniformGrid(tf.constant(0.5), tf.constant(low), tf.constant(low + 3)) for low in lows]
    x = tf.constant([-9.0, 0.3, 9.0])
    for chosen, low in enumerate(lows):
        output = mix(x, tf.one_hot(chosen, 2), grids)
        np.testing.assert_array_equal(output, [low * 0.5, 0.5 * min(1.0, low + 3), (low + 3) * 0.5])


@pytest.mark.parametrize("wrap", [tf.function, lambda f: tf.function(f, jit_compile=True)], ids=["graph", "xla"])
def test_compiled_equals_eager(wrap, compiler):
    grids = MIXTURES["mid_rise_and_mid_tread"]
    x, probabilities, upstream = case("mid_rise_and_mid_tread")
    eager = run(x, probabilities, grids, upstream)
    compiled = run(x, probabilities, grids, upstream, wrap=wrap)
    for actual, expected in zip(tf.nest.flatten(compiled), tf.nest.flatten(eager), strict=True):
        close(actual, expected)


def test_free_batch_size():
    grids = [UniformGrid(tf.constant([0.5, 0.25]), -2, 1), UniformGrid(tf.constant([0.1, 0.2]), -8, 7)]

    @tf.function(input_signature=[tf.TensorSpec((None, None, 2))])
    def gradients(x):
        steps = [grid.step for grid in grids]
        with tf.GradientTape() as tape:
            tape.watch(steps)
            output = mix(x, tf.constant([0.25, 0.75]), [g._replace(step=s) for g, s in zip(grids, steps, strict=True)])
        return tape.gradient(output, steps)

    x = np.full((3, 2, 2), 10.0, np.float32)  # all saturated: each value gives p * high
    np.testing.assert_allclose(gradients(x), [[6 * 0.25 * 1] * 2, [6 * 0.75 * 7] * 2], rtol=1e-6)


@pytest.mark.parametrize(
    ("grid", "x", "expected"),
    [
        (UniformGrid(0.5, -8, 7), [-1.25, -0.75, -0.25, 0.25, 0.75, 1.25, 1.75], [-2, -2, 0, 0, 2, 2, 4]),
        (UniformGrid(0.5, 0, 3), [-5.0, -0.25, 0.25, 0.75, 1.25, 1.5, 99.0], [0, 0, 0, 2, 2, 3, 3]),
        (UniformGrid(1.0, -2, 1, 0.5), [-9.0, -1.0, 0.0, 1.0, 2.0, 9.0], [-2, -2, 0, 0, 1, 1]),
    ],
    ids=["mid_tread", "clipped", "mid_rise"],
)
def test_codes_round_ties_to_even_and_clip(grid, x, expected):
    np.testing.assert_array_equal(codes(tf.constant(x), grid), expected)
    levels = (np.array(expected) + grid.offset) * grid.step
    np.testing.assert_array_equal(mix(tf.constant(x), (1.0,), (grid,)), levels.astype(np.float32))


@pytest.mark.parametrize("name", MIXTURES)
def test_codes_are_the_nearest_levels(name):
    x = case(name)[0]
    for step, low, high, offset, _ in MIXTURES[name]:
        found = codes(tf.constant(x), UniformGrid(tf.constant(step, tf.float32), low, high, offset))
        np.testing.assert_array_equal(found, level(x.astype(np.float64), step, low, high, offset))
        candidates = (np.arange(low, high + 1) + offset)[:, None, None, None] * step
        nearest = np.abs(candidates - x).min(axis=0)
        np.testing.assert_allclose(np.abs((found + offset) * step - x), nearest, atol=1e-6)


def test_outermost_level_still_passes_the_gradient():
    x = tf.constant([-1.0, 0.5, 1.0001, -1.0001])
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = mix(x, (1.0,), (UniformGrid(0.5, -2, 2),))
    np.testing.assert_array_equal(tape.gradient(output, x), [1, 1, 0, 0])
