"""Builds the Keras model that computes an `IntegerGraph`."""

from typing import Any

from tfmp.annotations import KerasModel
from tfmp.bindings.float_conversion import call_model
from tfmp.graph import IntegerGraph, IntegerOperation
from tfmp.operators import float_layer


def integer_model(graph: IntegerGraph, framework: Any) -> KerasModel:
    """Builds the model that computes an `IntegerGraph`, one layer per operation, outputs by their names.

    Args:
        graph: The integer network.
        framework: The `tfmp.bindings.framework.Framework` of the model.
    """
    tensors = {}
    for name in graph.inputs:
        shape, dtype = graph.tensors[name].shape, graph.tensors[name].dtype
        config = {"batch_shape": shape, "dtype": dtype, "name": name.replace("/", "_")}
        tensors[name] = framework.make_input(graph.tensors[name], config)
    for operation in graph.operations:
        inputs = [tensors[name] for name in operation.inputs]
        if operation.kind == float_layer.KIND:
            model = call_model(framework, operation.attributes["graph"], operation.attributes["call"])
            framework.rename(model, operation_layer_name(operation.name))
            model.trainable = False
            tensors.update(zip(operation.outputs, framework.tree.flatten(model(inputs)), strict=True))
            continue
        layer = framework.IntegerOperation(**operation_arguments(graph, operation))
        tensors[operation.output] = layer(inputs if len(inputs) > 1 else inputs[0])
        for name, value in operation.constants.items():
            getattr(layer, f"{name}_constant").assign(value)
    inputs = [tensors[name] for name in graph.inputs]
    outputs = [tensors[name] for name in graph.outputs]
    structure = outputs[0] if len(outputs) == 1 else dict(zip(graph.output_names, outputs, strict=True))
    inputs = inputs if len(inputs) > 1 else inputs[0]
    return framework.package.Model(inputs, structure, name=f"{graph.name}_integer")


def operation_arguments(graph: IntegerGraph, operation: IntegerOperation) -> dict[str, Any]:
    """Returns the arguments of the `IntegerOperation` layer that computes an operation of a graph."""

    def triple(name):
        grid = graph.tensors[name].grid
        return None if grid is None else (grid.scale, grid.low, grid.high)

    return {
        "kind": operation.kind,
        "input_grids": [triple(name) for name in operation.inputs],
        "grid": triple(operation.output),
        "attributes": dict(operation.attributes),
        "output_shape": graph.tensors[operation.output].shape,
        "output_dtype": graph.tensors[operation.output].dtype,
        "constant_shapes": {name: value.shape for name, value in operation.constants.items()},
        "name": operation_layer_name(operation.name),
    }


def operation_layer_name(name: str) -> str:
    """Returns the name of the layer that computes an operation: `"backbone.conv1"` for `"backbone/conv1"`.

    Keras allows no slash and TensorFlow no colon; dots, unlike underscores, are rare in names of users.
    """
    return name.replace("/", ".").replace(":", ".")
