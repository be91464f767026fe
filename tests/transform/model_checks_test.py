"""Layers that would change in the returned model raise an error before training."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfmp


def network(package, middle, dtype="float32"):
    inputs = package.Input((4,), name="inputs", dtype=dtype)
    x = package.layers.Dense(4, activation="relu", name="first")(middle(inputs))
    return package.Model(inputs, package.layers.Dense(2, name="last")(package.layers.Dense(4, name="second")(x)))


def own_classes(package):
    """Layers of a user: one that forgets its argument, one that does not, one of random output."""

    class Scaled(package.layers.Layer):
        def __init__(self, factor=1.0, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, x):
            return x * self.factor

    class Forgetful(Scaled):
        def get_config(self):
            return super(Scaled, self).get_config()

    class Careful(Scaled):
        def build(self, input_shape):
            self.shift = self.add_weight(name="shift", shape=(4,), initializer="ones")

        def call(self, x):
            return x * self.factor + self.shift

        def get_config(self):
            return {**super(Scaled, self).get_config(), "factor": self.factor}

    class Noisy(Careful):
        def call(self, x):
            return x + tf.random.normal(tf.shape(x))

    return Forgetful, Careful, Noisy


@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_configurations_that_forget(package):
    forgetful, careful, noisy = own_classes(package)
    with pytest.raises(ValueError, match="Layer `own` .Forgetful. computes something else when it is built again"):
        tfmp.relax(network(package, forgetful(3.0, name="own")))
    for layer in (forgetful(1.0, name="own"), careful(3.0, name="own"), noisy(3.0, name="own")):
        model = network(package, layer)
        model.get_layer("own").trainable_variables and model.get_layer("own").shift.assign(np.arange(4.0))
        relaxed = tfmp.relax(model, weight_bits=8, activation_bits=8)
        assert relaxed.get_layer("own").factor == layer.factor


@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_functions_with_a_name_of_keras(package):
    def relu(x):
        return 2 * x

    def softsign(x):
        return 2 * x

    for function, message in (
        (relu, "`own`: its activation `relu` is by its name the kind 'relu'.*computes something else"),
        (softsign, "`own`: its activation `softsign` is by its name the kind 'softsign'.*computes something else"),
    ):
        model = network(package, package.layers.Dense(4, activation=function, name="own"))
        for call in (tfmp.relax, tfmp.inspect):
            with pytest.raises(ValueError, match=message):
                call(model)
    model = network(package, package.layers.Dense(4, activation=tf.nn.relu, name="own"))
    assert tfmp.inspect(model).exports["fast"].answer == "yes"
