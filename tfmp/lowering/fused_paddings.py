"""Lets convolutions pad by themselves where an operation before them adds the same zeros."""

import collections
import dataclasses

from tfmp.graph import IntegerGraph, IntegerOperation

_KINDS = ("conv2d", "depthwise_conv2d")


def with_fused_paddings(graph: IntegerGraph) -> IntegerGraph:
    """Returns the network without paddings of zeros that a convolution with `padding="same"` adds itself.

    Networks with strides of 2 are often written so, `ZeroPadding2D(((0, 1), (0, 1)))` before an image of even size. A
    padding that another operation, too, reads is kept. No code changes.
    """
    readers = collections.Counter(name for operation in graph.operations for name in operation.inputs)
    readers.update(graph.outputs)
    # Operations without an integer form have neither attributes nor constants.
    pads = (each for each in graph.operations if each.kind == "pad" and "paddings" in each.attributes)
    paddings = {each.output: each for each in pads if readers[each.output] == 1}
    fused: dict[str, IntegerOperation] = {}
    for operation in graph.operations:
        is_convolution = operation.kind in _KINDS and "kernel" in operation.constants
        padding = paddings.get(operation.inputs[0]) if is_convolution else None
        if padding is not None and _is_same(graph, padding, operation):
            attributes = {**operation.attributes, "padding": "same"}
            fused[operation.name] = dataclasses.replace(operation, inputs=padding.inputs, attributes=attributes)
    removed = {each.inputs[0] for each in graph.operations if each.name in fused}
    operations = tuple(fused.get(each.name, each) for each in graph.operations if each.output not in removed)
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name not in removed}
    return dataclasses.replace(graph, operations=operations, tensors=tensors)


def _is_same(graph: IntegerGraph, padding: IntegerOperation, operation: IntegerOperation) -> bool:
    """Returns True if a convolution of the input of a padding, with `padding="same"`, would add the same zeros."""
    attributes = operation.attributes
    sizes, outputs = (graph.tensors[name].shape[1:-1] for name in (padding.inputs[0], operation.output))
    if attributes.get("padding", "valid") != "valid" or "low" in padding.attributes:
        return False
    strides, dilation = attributes.get("strides", (1, 1)), attributes.get("dilation", (1, 1))
    steps = zip(strides, dilation, operation.constants["kernel"].shape, strict=False)
    for size, output, added, (stride, dilation, window) in zip(
        sizes, outputs, padding.attributes["paddings"], steps, strict=True
    ):
        if size is None or output is None or output != -(-size // stride):
            return False
        missing = max(0, (output - 1) * stride + (window - 1) * dilation + 1 - size)
        if tuple(added) != (missing // 2, missing - missing // 2):
            return False
    return True
