"""Framework-dependent pieces of the tuner."""

import importlib

from tfmp.bindings.framework import framework_name

_BINDINGS = {"keras": "tfmp.bindings.keras3", "tf_keras": "tfmp.bindings.keras2"}


class KerasFramework:
    """The Keras of a model, and what the library adds to it.

    Args:
        model: A model of either Keras.

    Attributes:
        keras: The module.
        SelectionOptimizer: Its optimizer of searches.
        MixedPrecisionSearch: Its callback of searches.
    """

    def __init__(self, model):
        name = framework_name(model)
        self.keras = importlib.import_module(name)
        self.SelectionOptimizer = importlib.import_module(f"{_BINDINGS[name]}.optimizer").SelectionOptimizer
        self.MixedPrecisionSearch = importlib.import_module(f"{_BINDINGS[name]}.callback").MixedPrecisionSearch
