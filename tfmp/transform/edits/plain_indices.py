"""Rewrites arg-max and arg-min for TensorFlow's converter."""

from tfmp.graph import Graph, Layer, LayerOrigin
from tfmp.operators.comparisons import INDICES, index_attributes


def with_plain_indices(graph: Graph) -> Graph:
    """Returns a network whose `argmax` and `argmin` are those of TensorFlow.

    Those of Keras 3 tell zeros from negative zeros, by an operation on bits that the runtime lacks.
    """
    if graph.framework != "keras":
        return graph
    changed = {}
    for call in graph.calls:
        layer = graph.layer_of(call)
        if layer.kind in INDICES and layer.name not in changed:
            changed[layer.name] = _plain(graph, call, layer)
    return graph.replace_layers(changed)


def _plain(graph, call, layer) -> Layer:
    output = graph.tensors[call.outputs[0]]
    config = {
        "name": layer.name,
        "kind": layer.kind,
        "input_grids": (None,),
        "grid": None,
        "attributes": index_attributes(graph, call),
        "output_shape": output.shape,
        "constant_shapes": {},
        "output_dtype": output.dtype,
    }
    return Layer(layer.name, layer.kind, origin=LayerOrigin(config=config))
