"""Adapts Keras 3 to the library."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from tfmp.annotations import KerasLayer, KerasModel
from tfmp.bindings.framework import Framework
from tfmp.bindings.keras3 import layers
from tfmp.bindings.keras3.callback import MixedPrecisionSearch
from tfmp.bindings.keras3.model_reader import ModelReader, functional_class
from tfmp.bindings.keras3.optimizer import Keras3LogitsOptimizer, SelectionOptimizer
from tfmp.bindings.keras3.selecting_layer import IntegerOperation
from tfmp.bindings.layer_kinds import kernel_classes
from tfmp.graph import Call


class Keras3Framework(Framework):
    """Reads and builds models of Keras 3."""

    package, tree, title = keras, keras.tree, "Keras 3"
    made_classes = {
        **{kind: getattr(layers, f"MixedPrecision{name}") for kind, name in kernel_classes().items()},
        **dict.fromkeys(("arg_max", "arg_min"), IntegerOperation),
        "quantize": layers.Quantize,
        "attention_core": layers.AttentionCore,
        "add": keras.layers.Add,
        "affine": keras.layers.Rescaling,
        "reshape": keras.layers.Reshape,
    }
    IntegerOperation = IntegerOperation
    SelectionOptimizer, MixedPrecisionSearch = SelectionOptimizer, MixedPrecisionSearch
    LogitsOptimizer = Keras3LogitsOptimizer
    LossScaleOptimizer = keras.optimizers.LossScaleOptimizer

    def model_reader(self, model: KerasModel, weights: bool) -> Any:
        return ModelReader(self, model, weights)

    def has_structure(self, operation: Any) -> bool:
        if isinstance(operation, keras.Sequential):
            return operation.built and type(operation).call is keras.Sequential.call and hasattr(operation, "inputs")
        return isinstance(operation, functional_class()) and type(operation).call is functional_class().call

    def is_plain(self, model: KerasModel) -> bool:
        return type(model) is functional_class() or not isinstance(model, functional_class())

    def operations(self, model: KerasModel) -> Sequence[Any]:
        return model.layers if isinstance(model, keras.Sequential) else model.operations

    def layer_config(self, operation: Any, config: dict[str, Any]) -> dict[str, Any]:
        if isinstance(operation, keras.layers.Lambda):
            # A Python function is not rebuilt from its code: the names that it refers to would be missing.
            config |= {"function": operation.function, "mask": operation.mask, "arguments": operation.arguments}
            if callable(operation._output_shape):  # no public name; its configuration is also code
                config["output_shape"] = operation._output_shape
        return config

    def known_as(self, operation: Any, config: dict[str, Any], call: Call) -> tuple[Any, dict[str, Any]]:
        return type(operation), config

    def variables_by_path(self, operation: Any) -> dict[str, Any]:
        variables: dict[str, Any] = {}
        if not isinstance(operation, keras.layers.Layer):
            return variables
        for variable in operation.variables:
            segments = variable.path.split("/")
            start = segments.index(operation.name) + 1 if operation.name in segments else 0
            path = "/".join(segments[start:])
            while path in variables:
                path += "'"
            variables[path] = variable
        return variables

    def path_of(self, variable: Any) -> str:
        return variable.path

    def tf_variable(self, variable: Any) -> Any:
        return variable.value

    def rename(self, layer: KerasLayer, name: str) -> None:
        layer.name = name

    def set_trainable(self, layer: KerasLayer, trainable: bool) -> None:
        if not isinstance(layer, keras.layers.Layer) or (trainable and layer.trainable):
            return
        # If a configuration froze the model, Keras does not freeze the layers inside, and setting an equal value does
        # nothing.
        layer.trainable = not trainable
        layer.trainable = trainable

    def load_file(
        self, file: Any, *, custom_objects: Mapping[str, Any] | None, compile: bool, safe_mode: bool
    ) -> KerasModel:
        return keras.saving.load_model(file.path, custom_objects=custom_objects, compile=compile, safe_mode=safe_mode)
