"""Reads a layer of either Keras into a `Layer`."""

from tfmp.bindings import layer_variables
from tfmp.bindings.claims import claimed_activation, claimed_kind
from tfmp.bindings.layer_kinds import has_kernel, kind_and_attributes, layer_shape
from tfmp.bindings.left_alone import unknown_attributes
from tfmp.bindings.search_state import read_search_state, without_search
from tfmp.graph import Layer, LayerOrigin
from tfmp.operators import TABLE
from tfmp.operators.operator import OTHER
from tfmp.operators.operator_table import function_kind, object_kind

_FRAMEWORKS = ("keras", "tf_keras", "tensorflow", "tensorflow_model_optimization", "tfmp")


class LayerReader:
    """Reads the layers of a framework into `Layer` records.

    Args:
        framework: The `tfmp.bindings.framework.Framework` of the layers.
        with_weights: If False, the arrays are omitted.
    """

    def __init__(self, framework, with_weights):
        self.framework, self.with_weights = framework, with_weights

    def config(self, operation):
        """Returns the configuration from which a layer can be built again.

        Raises:
            ValueError: If its class has no usable `get_config`, for which both Kerases raise `NotImplementedError`.
        """
        try:
            config = operation.get_config()
        except NotImplementedError as error:
            raise ValueError(
                f"Layer `{operation.name}` ({type(operation).__name__}) has no configuration from which it can be "
                "built again: give its class a `get_config` that returns all arguments of its constructor, and "
                f"register it with `{self.framework.name}.saving.register_keras_serializable`."
            ) from error
        return self.framework.layer_config(operation, config)

    def weights(self, operation, shared=()):
        """Returns its arrays by path, except for the variables at the positions `shared`."""
        return layer_variables.layer_weights(self.framework, operation, shared)

    def num_parameters(self, operation, shared=()):
        """Returns the number of parameters, as in `Layer`."""
        return layer_variables.num_parameters(self.framework, operation, shared)

    def read(self, operation, call, tensors, *, reads_network_input, config=None, shared=None, holders=()):
        """Returns the `Layer` of the graph for a layer.

        Args:
            operation: The layer, or the operation used without one.
            call: Its first `Call`.
            tensors: The graph's tensors by name, those of the call among them.
            reads_network_input: True if that call reads an input of the whole model.
            config: Its configuration with references to layers that it holds; None for the operation's own.
            shared: As in `Layer`.
            holders: Names of layers that also hold its variables. Their computation is unknown, so no transform may
                change the layer.
        """
        framework = self.framework
        config = self.config(operation) if config is None else config
        shared = dict(shared or {})
        if hasattr(operation, "get_vocabulary") and config.get("vocabulary") is None:
            # What a layer was adapted to is in no weight, and Keras writes only given values into the configuration.
            config["vocabulary"] = operation.get_vocabulary(include_special_tokens=False) or None
        _check_activation(operation, config, framework.name)
        claim = claimed_kind(operation, config, call, tensors, framework.package)
        known_as, known_config = framework.known_as(operation, config, call)
        kind, attributes = claim or kind_and_attributes(known_as, known_config, call=call, framework=framework.name)
        if claim is None and kind != OTHER and "activation" in config:
            activation = claimed_activation(operation, config, call, tensors, framework.package)
            activation = activation or object_kind(config, framework.name)
            if activation is not None:
                attributes = {**attributes, "activation_kind": activation}
        if kind == "cast" and _keeps_values(tensors[call.inputs[0]], tensors[call.outputs[0]]):
            kind = "identity"
        if holders:
            names = ", ".join(f"`{name}`" for name in holders)
            kind, attributes = OTHER, {"left_because": f"its variables are also those of {names}"}
        elif kind == OTHER:
            attributes = {**attributes, **unknown_attributes(operation, known_config, attributes, framework.name)}
        weights = self.weights(operation, shared) if self.with_weights or has_kernel(kind) else {}
        weights = _with_known_paths(weights, kind)
        shape = None
        if has_kernel(kind):
            shape = layer_shape(
                call.layer,
                kind,
                attributes,
                tensors[call.inputs[0]].shape,
                tensors[call.outputs[0]].shape,
                kernel_shape=weights["kernel"].shape,
                reads_network_input=reads_network_input,
            )
        return Layer(
            call.layer,
            kind,
            origin=LayerOrigin(type(operation), config),
            attributes=attributes,
            weights=without_search(operation, weights) if self.with_weights else {},
            shape=shape,
            trainable=getattr(operation, "trainable", True),
            num_parameters=self.num_parameters(operation, shared),
            shared=shared,
            **read_search_state(operation, arrays=self.with_weights),
        )


def _with_known_paths(weights, kind):
    """Returns arrays by the path that the operator knows if it has only one, which Keras numbers if it has no name."""
    arrays = TABLE[kind].arrays if kind in TABLE else {}
    return dict(zip(arrays, weights.values(), strict=True)) if len(arrays) == len(weights) == 1 else weights


def _check_activation(operation, config, framework):
    """Raises `ValueError` for a function that Keras saves by name only, if the name is that of a Keras function.

    A function whose name is a kind of the library is compared with it instead, see `claimed_activation`.
    """
    function = getattr(operation, "activation", None)
    if not isinstance(config.get("activation"), str) or not callable(function):
        return
    if function_kind(config["activation"], framework) is not None:
        return
    if str(getattr(function, "__module__", "")).split(".")[0] not in _FRAMEWORKS:
        raise ValueError(
            f"Layer `{operation.name}` does not build again from its configuration: its activation, a function of your "
            f"own, is there as {config['activation']!r}, which is one of Keras. Register the function with "
            f"`{framework}.saving.register_keras_serializable`."
        )


def _keeps_values(source, target) -> bool:
    """Returns True for a cast to floating point that keeps the values: from floats, and from 8-bit integers."""
    return target.is_float and (source.is_float or source.dtype in ("uint8", "int8"))
