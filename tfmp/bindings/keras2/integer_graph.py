"""An `IntegerGraph` as a tf_keras model."""

import tf_keras

from tfmp.bindings.keras2.selecting_layer import IntegerOperation
from tfmp.bindings.operation_arguments import operation_arguments


def write_integer(graph):
    """Builds the model that computes an `IntegerGraph`, one layer per operation, outputs by their names."""
    tensors = {}
    for name in graph.inputs:
        (batch, *shape), dtype = graph.tensors[name].shape, graph.tensors[name].dtype
        tensors[name] = tf_keras.Input(shape, batch_size=batch, dtype=dtype, name=name.replace("/", "_"))
    for operation in graph.operations:
        layer = IntegerOperation(**operation_arguments(graph, operation))
        inputs = [tensors[name] for name in operation.inputs]
        tensors[operation.output] = layer(inputs if len(inputs) > 1 else inputs[0])
        for name, value in operation.constants.items():
            getattr(layer, f"{name}_constant").assign(value)
    inputs = [tensors[name] for name in graph.inputs]
    outputs = [tensors[name] for name in graph.outputs]
    single = len(outputs) == 1
    structure = outputs[0] if single else dict(zip(graph.output_names, outputs, strict=True))
    return tf_keras.Model(inputs if len(inputs) > 1 else inputs[0], structure, name=f"{graph.name}_integer")
