"""Gumbel noise and annealing in searchable layers."""

import numpy as np
import tensorflow as tf

from tests.layers.searchable_layers import biases, in_float64, inputs_of, randomize, relative, searchable
from tests.parallel_branches import activation_branches, weight_branches


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
