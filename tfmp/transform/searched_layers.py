"""`tfmp.searched_layers`: the layers whose bits are searched."""

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.search.searched_cost import chosen_layers
from tfmp.transform.edits.layer_plan import SEARCHED, plan
from tfmp.transform.edits.parts import with_parts


def searched_layers(model: KerasModel) -> tuple[str, ...]:
    """Returns the names of the searched layers; for a float model, of those that `tfmp.relax` would search.

    Args:
        model: A built Sequential or functional Keras model, relaxed, fixed or in floating point.

    Raises:
        ValueError: If there are no such layers.
    """
    graph = framework_of(model).read(model, weights=False)
    if any(layer.is_quantized for layer in graph.in_order()):
        names = tuple(layer.name for layer in chosen_layers(graph))
    else:
        plans = plan(with_parts(graph)).values()
        names = tuple(entry.name for entry in plans if entry.status == SEARCHED)
    if not names:
        raise ValueError(
            f"Model `{graph.name}` must have layers whose bits are searched. Received one without: only its first and "
            "last layers have a kernel. Give the names of layers instead."
        )
    return names
