import math

import keras
import numpy as np
import pytest
import tf_keras

import tfmp
from tfmp.width.magnitude_variance import proposition_variance


def network(k):
    inputs = x = k.Input((8, 8, 3))
    x = k.layers.Conv2D(4, 3, name="first")(x)
    x = k.layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = k.layers.Conv2D(8, 3, groups=8, name="groups")(x)
    return k.Model(inputs, k.layers.Dense(5, name="last")(k.layers.Flatten()(x)))


@pytest.mark.default_cases("float-keras", "quantized-tf_keras")
@pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
@pytest.mark.parametrize("quantized", [False, True], ids=["float", "quantized"])
def test_variance_is_that_of_the_kernels_of_all_steps(k, quantized):
    k.utils.set_random_seed(0)
    model = network(k)
    if quantized:
        model = tfmp.width.dual_precision(model, weight_bits=1, depthwise_bits=2)
    model.compile(k.optimizers.SGD(0.1), k.losses.SparseCategoricalCrossentropy(from_logits=True))
    records = {layers: tfmp.width.MagnitudeVariance(model, layers=layers) for layers in (None, "*", "dep*")}
    kernels = {name: [] for name in ("first", "depthwise", "groups", "last")}

    def keep(batch, logs):
        for record in records.values():
            record.update()
        for name in kernels:
            kernels[name].append(np.abs(model.get_layer(name).get_weights()[0].astype(np.float64)))

    x = np.random.default_rng(0).normal(size=(40, 8, 8, 3)).astype(np.float32)
    y = np.arange(40) % 5
    model.fit(x, y, batch_size=8, verbose=0, callbacks=[k.callbacks.LambdaCallback(on_train_batch_end=keep)])
    filters = {  # step by step; of a depthwise kernel [height, width, in, 2] every pair of the last two is one
        name: np.stack([step.mean((0, 1) if name == "depthwise" else tuple(range(step.ndim - 1))) for step in steps])
        for name, steps in kernels.items()
    }
    expected = {name: np.var(values.reshape(5, -1), axis=0, ddof=1).mean() for name, values in filters.items()}
    assert records["*"].result() == pytest.approx(expected)
    assert records[None].result() == pytest.approx({name: expected[name] for name in ("depthwise", "groups")})
    assert records["dep*"].result() == pytest.approx({"depthwise": expected["depthwise"]})
    records[None].clear()
    with pytest.raises(ValueError, match="two steps or more. Received: 0"):
        records[None].result()


def test_models_without_such_layers():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="no depthwise convolution. `layers=.*` records all"):
        tfmp.width.MagnitudeVariance(model)
    with pytest.raises(ValueError, match="no layer that `layers` takes"):
        tfmp.width.MagnitudeVariance(model, layers=lambda layer: False)
    with pytest.raises(ValueError, match="`layers` names 'conv.', which matches no layer"):
        tfmp.width.MagnitudeVariance(model, layers="conv*")


@pytest.mark.parametrize("num_weights", [1, 9, 36, 144])
def test_independent_weights_are_their_own_variance_over_their_number(num_weights):
    # mean|w| is a mean of independent half-normal numbers.
    expected = 0.3**2 * (1 - 2 / math.pi) / num_weights
    assert proposition_variance(num_weights, 0.3) == pytest.approx(expected)


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("num_weights", [9, 36])
def test_proposition_agrees_with_samples(correlation, num_weights):
    rng = np.random.default_rng(1)
    common, own = rng.normal(size=(200_000, 1)), rng.normal(size=(200_000, num_weights))
    weights = 0.5 * (math.sqrt(correlation) * common + math.sqrt(1 - correlation) * own)
    product = 2 / math.pi * (math.sqrt(1 - correlation**2) + correlation * math.asin(correlation))
    sampled = np.abs(weights).mean(1).var(ddof=1)
    assert proposition_variance(num_weights, 0.5, product) == pytest.approx(sampled, rel=0.02)
    # Read as a correlation, rho would make it negative.
    assert correlation > 0.5 or proposition_variance(num_weights, 0.5, correlation) < 0
