"""Turns an integer operation into the arguments of a Keras layer."""


def operation_arguments(graph, operation):
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


def operation_layer_name(name):
    """The name of the layer that computes an operation: `"backbone.conv1"` for `"backbone/conv1"`.

    Keras allows no slash in it and TensorFlow no colon; a dot, unlike an underscore, is rare in the names of users.
    """
    return name.replace("/", ".").replace(":", ".")
