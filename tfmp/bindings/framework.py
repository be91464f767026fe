"""Reads and builds the models of Keras 3 or tf_keras, and finds the framework of a model."""

import abc
import dataclasses
import importlib
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from tfmp.annotations import KerasLayer, KerasModel
from tfmp.bindings import layer_variables
from tfmp.bindings.integer_model import integer_model
from tfmp.bindings.model_builder import LayerBuilder, ModelBuilder, build_layer
from tfmp.bindings.nesting import with_equal_uses
from tfmp.bindings.search_state import write_search_state
from tfmp.bindings.sharing import check_sharing
from tfmp.checks import received
from tfmp.graph import Call, Graph, IntegerGraph, TensorRef
from tfmp.mixins.distillation import DistillationMixin, distilled_model

_FRAMEWORKS = {
    "keras": ("tfmp.bindings.keras3.keras3_framework", "Keras3Framework"),
    "tf_keras": ("tfmp.bindings.keras2.keras2_framework", "Keras2Framework"),
}
_WRAPPERS = "tensorflow_model_optimization"  # of tf_keras layers: `TfmotFramework` reads them
_FRAMEWORK_OF_WRAPPERS = ("tfmp.bindings.tfmot.tfmot_framework", "TfmotFramework")
_CALLBACKS = {"keras": "tfmp.MixedPrecisionSearch", "tf_keras": "tfmp.keras2.MixedPrecisionSearch"}


class Framework(abc.ABC):
    """Reads the models of one Keras as graphs and builds them from graphs.

    This class has the common code of both Kerases; the abstract methods are what differs.

    Attributes:
        package: The package, `keras` for example.
        title: Name of the package in errors.
        tree: Its module with `flatten`, `map_structure` and `pack_sequence_as`.
        made_classes: Classes of the layers that transforms add, by kind.
        IntegerOperation: The class of layers that compute one operation of an integer network.
        SelectionOptimizer: The optimizer of searches.
        LogitsOptimizer: The optimizer of separate logits steps, a `tfmp.bindings.logits_training.LogitsOptimizer`.
        LossScaleOptimizer: The optimizer that scales losses for float16.
        MixedPrecisionSearch: The callback of searches.
    """

    package: ModuleType
    tree: ModuleType
    title: str
    made_classes: dict[str, type]
    IntegerOperation: type
    SelectionOptimizer: type
    LogitsOptimizer: type
    LossScaleOptimizer: type
    MixedPrecisionSearch: type

    @property
    def name(self) -> str:
        """Name as in `Graph.framework`: `"keras"` or `"tf_keras"`."""
        return self.package.__name__

    @abc.abstractmethod
    def model_reader(self, model: KerasModel, weights: bool) -> Any:
        """Returns the `GraphReader` of a readable model."""

    @abc.abstractmethod
    def has_structure(self, operation: Any) -> bool:
        """Returns True for a built model whose layers and calls can be read; a custom `call` cannot be read."""

    @abc.abstractmethod
    def is_plain(self, model: KerasModel) -> bool:
        """Returns True for a model of one of the framework's own classes."""

    @abc.abstractmethod
    def operations(self, model: KerasModel) -> Sequence[Any]:
        """Returns the layers of a model, and the operations that it uses without a layer."""

    @abc.abstractmethod
    def layer_config(self, operation: Any, config: dict[str, Any]) -> dict[str, Any]:
        """Returns the `get_config` of a layer, completed so that it can be built again."""

    @abc.abstractmethod
    def known_as(self, operation: Any, config: dict[str, Any], call: Call) -> tuple[Any, dict[str, Any]]:
        """Returns the key and the configuration with which `kind_and_attributes` looks up a layer."""

    @abc.abstractmethod
    def variables_by_path(self, operation: Any) -> dict[str, Any]:
        """Returns a layer's variables by paths independent of its model; none for an operation without a layer."""

    @abc.abstractmethod
    def path_of(self, variable: Any) -> str:
        """Returns the path of a variable: the names of the layers that hold it, and its name."""

    @abc.abstractmethod
    def tf_variable(self, variable: Any) -> Any:
        """Returns the TensorFlow variable of a variable of the framework."""

    @abc.abstractmethod
    def rename(self, layer: KerasLayer, name: str) -> None:
        """Renames a layer whose constructor takes no name."""

    @abc.abstractmethod
    def set_trainable(self, layer: KerasLayer, trainable: bool) -> None:
        """Freezes a layer or a nested model that was just built, if it was frozen in the user's model."""

    @abc.abstractmethod
    def load_file(
        self, file: Any, *, custom_objects: Mapping[str, Any] | None, compile: bool, safe_mode: bool
    ) -> KerasModel:
        """Loads a `ModelFile` that was found to be loadable; see `tfmp.load_model`."""

    def model_class(self, model: KerasModel) -> type:
        """Returns the class that builds such a model from inputs and outputs: its own class, with its training step."""
        if isinstance(model, DistillationMixin):
            return self.model_class(model.student)
        is_functional = not self.is_plain(model) and "input_layers" in model.get_config()
        return type(model) if is_functional else self.package.Model

    def completed_file(self, file: Any, *, custom_objects: Mapping[str, Any] | None, safe_mode: bool) -> Any:
        """Returns a `ModelFile` with its configuration, if reading it needs this Keras."""
        return file

    def make_input(self, tensor: Any, config: Mapping[str, Any] | None = None) -> Any:
        """Returns a symbolic input for a `tfmp.graph.Tensor`, or with its configuration in a model."""
        return self.package.Input(**(config or {"batch_shape": tensor.shape, "dtype": tensor.dtype}))

    def make_model(self, inputs: Any, outputs: Any, name: str, config: Mapping[str, Any]) -> KerasModel:
        """Returns a model of the class in a configuration, if there is one."""
        return config.get("class", self.package.Model)(inputs, outputs, name=name)

    def check_readable(self, model: KerasModel) -> None:
        """Raises an error that says what to do unless a model is built, and Sequential or functional."""
        package = self.name
        if not isinstance(model, self.package.Model):
            raise TypeError(f"Expected a {self.title} model. Received: {type(model).__name__}")
        if not model.built:
            raise ValueError(
                f"Model `{model.name}` is not built: its weights do not exist yet. Give it a `{package}.Input`, or "
                "call `model.build(input_shape)`."
            )
        if not self.has_structure(model):
            raise ValueError(
                f"Model `{model.name}` is a subclass of `{package}.Model`: its structure is hidden in Python code. "
                f"Build it as a functional model, `{package}.Model(inputs, outputs)`, for example by calling it once "
                f"on `{package}.Input(...)`."
            )

    def read(self, model: KerasModel, *, weights: bool = True) -> Graph:
        """Returns a built Sequential or functional model as a `Graph`.

        Args:
            model: The model.
            weights: If False, the arrays are omitted.

        Raises:
            ValueError: If the model is not built, or a subclass whose structure cannot be read.
        """
        self.check_readable(model)
        return self.model_reader(model, weights).graph()

    def write(self, graph: Graph) -> KerasModel:
        """Builds the model of a `Graph`, with the weights of its layers.

        Layers that no transform changed are built from their own configuration; those with a `weight` or
        `activation` selection become `MixedPrecision*` layers. Nested models are nested again.
        """
        graph = with_equal_uses(graph)
        layers = LayerBuilder(graph, self).build()
        builder = ModelBuilder(graph, layers, self)
        model = self.make_model(*builder.build_ends(), graph.name, graph.config)
        for nested, trainable in reversed(builder.models):  # outer ones first: freezing a model freezes its layers
            self.set_trainable(nested, trainable)
        for name, built in layers.items():
            layer = graph.layers[name]
            layer_variables.assign_weights(self, built, layer.weights, layer.shared)
            write_search_state(built, layer)
            if layer.kind != "quantize":  # a transform added it to a frozen model
                self.set_trainable(built, layer.trainable)
        check_sharing(graph, {name: list(self.variables_by_path(built).values()) for name, built in layers.items()})
        return model

    def layer(self, model: KerasModel, path: str) -> KerasLayer:
        """Returns a layer of a model by its name in the graph, `"conv1"` or `"backbone/conv1"`.

        Raises:
            ValueError: If there is no such layer.
        """
        operations = self.operations(model)
        for operation in operations:
            if operation.name == path:
                return operation
            if isinstance(operation, self.package.Model) and path.startswith(f"{operation.name}/"):
                return self.layer(operation, path.removeprefix(f"{operation.name}/"))
        names = ", ".join(operation.name for operation in operations)
        raise ValueError(f"Model `{model.name}` has no layer `{path}`. Its layers: {names}")

    def tensor_model(self, model: KerasModel, tensor_names: Sequence[str]) -> KerasModel:
        """Returns a model with the same inputs whose outputs are the named tensors of `read(model)`."""
        graph = self.read(model, weights=False)
        graph = dataclasses.replace(graph, outputs=[TensorRef(name) for name in tensor_names])
        operations = {
            layer.name: build_layer(layer, layer.name, self) if layer.kind == "input" else self.layer(model, layer.name)
            for layer in graph.in_order()
        }
        return self.package.Model(*ModelBuilder(graph, operations, self).build_ends())

    def distilled(self, model: KerasModel, soft_targets: Any) -> KerasModel:
        """Returns a model over a model's layers that also learns from `tfmp.mixins.distillation.SoftTargets`."""
        return distilled_model(model, soft_targets, self.model_class(model))

    def write_integer(self, graph: IntegerGraph) -> KerasModel:
        """Builds the model that computes an `IntegerGraph`, one layer per operation, outputs by their names."""
        return integer_model(graph, self)


def framework_of(model: KerasModel, argument: str = "model") -> Framework:
    """Returns the framework of a model.

    Args:
        model: The model.
        argument: Name of the model in errors.

    Raises:
        TypeError: If it is not a model of a known framework.
    """
    name = framework_name(model, argument)
    is_wrapped = name == "tf_keras" and _WRAPPERS in sys.modules and _has_wrappers(model)
    return _loaded(*_FRAMEWORK_OF_WRAPPERS) if is_wrapped else framework_named(name)


def framework_named(name: str) -> Framework:
    """Returns a framework by its name, `Graph.framework` for example."""
    return _loaded(*_FRAMEWORKS[name])


def framework_name(model: KerasModel, argument: str = "model") -> str:
    """Returns the name of a model's framework, `"keras"` or `"tf_keras"`; arguments as in `framework_of`.

    Raises:
        TypeError: If it is not a model of a known framework.
    """
    bases = {(base.__module__.split(".")[0], base.__name__) for base in type(model).__mro__}
    for name in _FRAMEWORKS:
        if (name, "Model") in bases:
            return name
    raise TypeError(f"`{argument}` must be a Keras model. Received: {received(model)}")


def check_callback(model: KerasModel, name: str) -> None:
    """Raises `TypeError` that names the right callback if the model is of the other Keras."""
    received_name = framework_name(model)
    if received_name != name:
        raise TypeError(
            f"Expected a model of {name}, as the callback `{_CALLBACKS[name]}` is. Received: model "
            f"`{model.name}` of {received_name}. Give its `fit` the callback `{_CALLBACKS[received_name]}`."
        )


def _loaded(module, class_name):
    return getattr(importlib.import_module(module), class_name)()


def _has_wrappers(model):
    return any(base.__module__.split(".")[0] == _WRAPPERS for child in model.submodules for base in type(child).__mro__)
