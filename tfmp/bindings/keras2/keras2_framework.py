"""Adapts tf_keras to the library."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from tfmp.annotations import KerasLayer, KerasModel
from tfmp.bindings.framework import Framework
from tfmp.bindings.keras2 import layers, saved_model
from tfmp.bindings.keras2.callback import MixedPrecisionSearch
from tfmp.bindings.keras2.model_reader import ModelReader
from tfmp.bindings.keras2.optimizer import Keras2LogitsOptimizer, SelectionOptimizer
from tfmp.bindings.keras2.selecting_layer import IntegerOperation
from tfmp.bindings.layer_kinds import kernel_classes
from tfmp.bindings.layer_variables import CHILDREN
from tfmp.graph import Call

# The class of functional models has no public name; Sequential is a subclass.
_FUNCTIONAL = tf_keras.Sequential.__bases__[0]
_RENAMED = {"depthwise_kernel": "kernel"}  # variables with another name in Keras 3, which transforms use


class Keras2Framework(Framework):
    """Reads and builds models of tf_keras."""

    package, tree, title = tf_keras, tf.nest, "tf_keras"
    made_classes = {
        **{kind: getattr(layers, f"MixedPrecision{name}") for kind, name in kernel_classes().items()},
        "quantize": layers.Quantize,
        "attention_core": layers.AttentionCore,
        "add": tf_keras.layers.Add,
        "affine": tf_keras.layers.Rescaling,
        "reshape": tf_keras.layers.Reshape,
    }
    IntegerOperation = IntegerOperation
    SelectionOptimizer, MixedPrecisionSearch = SelectionOptimizer, MixedPrecisionSearch
    LogitsOptimizer = Keras2LogitsOptimizer
    LossScaleOptimizer = tf_keras.mixed_precision.LossScaleOptimizer

    def model_reader(self, model: KerasModel, weights: bool) -> Any:
        return ModelReader(self, model, weights)

    def has_structure(self, operation: Any) -> bool:
        if not isinstance(operation, _FUNCTIONAL) or not operation.built or not operation.outputs:
            return False
        return type(operation).call in (_FUNCTIONAL.call, tf_keras.Sequential.call)

    def is_plain(self, model: KerasModel) -> bool:
        return type(model) is _FUNCTIONAL or isinstance(model, tf_keras.Sequential)

    def operations(self, model: KerasModel) -> Sequence[Any]:
        return model.layers

    def layer_config(self, operation: Any, config: dict[str, Any]) -> dict[str, Any]:
        if isinstance(operation, tf_keras.layers.Lambda):
            # A Python function is not rebuilt from its code: the names that it refers to would be missing.
            functions = {"function": operation.function, "arguments": operation.arguments, "mask": operation.mask}
            # No public name; its configuration is also code.
            config = {
                **tf_keras.layers.Layer.get_config(operation),
                **functions,
                "output_shape": operation._output_shape,
            }
        elif type(operation) is tf_keras.layers.BatchNormalization and operation.synchronized:
            config = {**config, "synchronized": True}  # which tf_keras omits
        return config

    def known_as(self, operation: Any, config: dict[str, Any], call: Call) -> tuple[Any, dict[str, Any]]:
        if type(operation).__name__ not in ("TFOpLambda", "SlicingOpLambda"):
            return type(operation), config
        return config["function"].removeprefix("compat.v1."), config  # of some, TensorFlow records the older twin

    def variables_by_path(self, operation: Any) -> dict[str, Any]:
        # A variable is named after the child that holds it, if any: the scopes before only say how the layer
        # was built, by a call, from a file or by hand.
        children = [child for child in (getattr(operation, name, None) for name in CHILDREN) if child is not None]
        holders = {id(variable): f"{child.name}/" for child in children for variable in child.variables}
        variables = {}
        for variable in operation.variables:
            if not isinstance(variable, tf.Variable):  # the vocabulary of a text layer
                continue
            name = variable.name.split("/")[-1].split(":")[0]
            path = holders.get(id(variable), "") + _RENAMED.get(name, name)
            while path in variables:
                path += "'"
            variables[path] = variable
        return variables

    def path_of(self, variable: Any) -> str:
        return variable.name

    def tf_variable(self, variable: Any) -> Any:
        return variable

    def rename(self, layer: KerasLayer, name: str) -> None:
        layer._name = name  # there is no public way

    def set_trainable(self, layer: KerasLayer, trainable: bool) -> None:
        """Does nothing: layers are built frozen, and a frozen model would stop the search for its bits."""

    def completed_file(self, file: Any, *, custom_objects: Mapping[str, Any] | None, safe_mode: bool) -> Any:
        is_rebuilt = file.container == "saved_model" and safe_mode
        return saved_model.with_configuration(file, custom_objects) if is_rebuilt else file

    def load_file(
        self, file: Any, *, custom_objects: Mapping[str, Any] | None, compile: bool, safe_mode: bool
    ) -> KerasModel:
        if file.container == "saved_model" and safe_mode:
            return saved_model.rebuild(file, custom_objects, compile)
        options = {"custom_objects": custom_objects, "compile": compile, "safe_mode": safe_mode}
        return tf_keras.models.load_model(file.path, **options)
