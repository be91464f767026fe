"""A search that XLA compiles as a whole takes the steps of one that it does not.

Of the softmax relaxation: XLA has a random generator of its own, so that Gumbel noise is other noise there.
"""

import keras
import numpy as np
import pytest

import tfmp

X = np.random.default_rng(0).normal(size=(8, 6, 6, 2)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, size=8)
VARIANTS = {
    "softmax": {},
    "coupled": {"coupled": True},
    "own_kernels": {"shared_weights": False},
}


def searched(options, **how):
    """Losses of two steps, and what the second one, at a learning rate of 1, has added to each variable."""
    keras.utils.set_random_seed(0)
    kl = keras.layers
    x = inputs = keras.Input((6, 6, 2), name="image")
    x = kl.Conv2D(4, 3, strides=2, activation="relu", name="conv")(x)
    x = kl.Dense(5, activation="relu", name="hidden")(kl.Flatten(name="flat")(x))
    model = keras.Model(inputs, kl.Dense(3, name="head")(x))
    bits = {"weight_bits": (1, 2, 4), "activation_bits": (2, 3, 4), "first_and_last": "search"}
    model = tfmp.relax(model, **bits, calibration=X, **options)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1.0), loss, **how)
    model.optimizer.learning_rate = 0.0
    search = tfmp.MixedPrecisionSearch(eta=0.1)
    losses = model.fit(X, Y, callbacks=[search], verbose=0).history["loss"]
    before = [np.asarray(v) for v in model.trainable_variables]
    model.optimizer.learning_rate = 1.0
    losses += model.fit(X, Y, callbacks=[search], verbose=0).history["loss"]
    steps = [np.asarray(v) - start for v, start in zip(model.trainable_variables, before, strict=True)]
    return losses, dict(zip([v.path for v in model.trainable_variables], steps, strict=True))


@pytest.mark.compiled
@pytest.mark.default_cases("softmax-graph")
@pytest.mark.parametrize("how", [{"jit_compile": False}, {"jit_compile": True}], ids=["graph", "xla"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_compiled_steps_are_those_of_the_operations(variant, how):
    expected_losses, expected = searched(VARIANTS[variant], run_eagerly=True)
    losses, steps = searched(VARIANTS[variant], **how)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
    assert steps.keys() == expected.keys() and sum(path.endswith("/logits") for path in steps) >= 3
    for path, step in expected.items():
        scale = np.abs(step).max()
        assert scale > 0, path
        np.testing.assert_allclose(steps[path], step, atol=1e-4 * scale, err_msg=path)
