"""The error for layers that have no integer form."""

from collections.abc import Sequence

from tfmp.graph import Layer

CHANNELS_FIRST = (
    "its channels come first, which the runtime has no kernels for",
    'Build the model with `data_format="channels_last"`.',
)


class FoldError(ValueError):
    """Says which layer cannot be folded, why, and what to do.

    Args:
        layer: Name of the layer.
        clause: Why: a clause about the layer that begins with "it" or "its".
        way_out: What to do, a sentence.

    Attributes:
        layer, clause, way_out: As above.
        reason: The clause with the name of the layer.

    Example:
        >>> FoldError("sum", "it adds 3 tensors, the runtime adds two", "Add them in pairs.").reason
        '`sum` adds 3 tensors, the runtime adds two'
    """

    def __init__(self, layer: str, clause: str, way_out: str):
        self.layer, self.clause, self.way_out = layer, clause, way_out
        owner = "'s" if clause.startswith("its ") else ""
        self.reason = f"`{layer}`{owner} {clause.partition(' ')[2]}"
        super().__init__(f"Layer {self.reason}. {way_out}")


def with_article(name: str) -> str:
    """Returns the name of a class as code, after "a" or "an"."""
    return f"{'an' if name[0] in 'AEIOU' else 'a'} `{name}`"


def free_size(name: str, shape: Sequence[int | None]) -> FoldError:
    """Returns the error for a layer whose output `shape` has free sizes although its inputs have fixed ones."""
    return FoldError(
        name,
        f"its output of shape {shape} has a free size, where in a file only that of the batch can be",
        "Give the model a fixed input shape.",
    )


def no_integer_form(layer: Layer, name: str) -> FoldError:
    """Returns the error for a layer whose kind has no integer form.

    Args:
        layer: The layer.
        name: Its name in the user's model, or that of the layer it was split from.
    """
    if layer.attributes.get("data_format") == "channels_first":
        return FoldError(name, *CHANNELS_FIRST)
    function, clause = layer.attributes.get("function"), layer.attributes.get("left_because")
    if function is not None:
        is_part = name != layer.name
        clause = f"its activation is {function}" if is_part else f"it computes {function}, which has no integer form"
    elif clause is None:  # a layer that could not be split
        clause = f"it is {with_article(layer.origin.class_name)} whose arguments have no integer form"
    way_out = layer.attributes.get("way_out")
    others = '`mode="float"` exports it; or leave it out of the model that is exported.'
    return FoldError(name, clause, f"{way_out}. Else {others}" if way_out else others)
