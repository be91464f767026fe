"""Why no quantized form of a layer is known, by what its class is."""

_REASONS = {
    "Wrapper": "it runs another layer its own way, which only that layer called directly would show",
    "Bidirectional": "it runs another layer its own way, which only that layer called directly would show",
    "RNN": "it is recurrent, and no quantized form of recurrent layers is known",
    "Lambda": "a Python function: what it computes is hidden, unlike in `keras.ops` or a layer",
    "Model": "a subclass of `keras.Model`: its structure is hidden in Python code; build it as "
    "`keras.Model(inputs, outputs)` to search its layers",
    "Sequential": "its layers can only be read once it is built",
}


def reason_left_alone(layer_class) -> str:
    """Returns why a layer whose kind is `"other"` is left as it is; empty if its class says nothing particular."""
    bases = [base for base in layer_class.__mro__ if base.__module__.split(".")[0] in ("keras", "tf_keras")]
    return next((_REASONS[base.__name__] for base in bases if base.__name__ in _REASONS), "")
