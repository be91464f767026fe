"""The user's own layers, as kinds that the library knows."""

from tfmp.types.checks import check_choice, check_function, check_instance

# What a kind needs to be told; the others need nothing.
REGISTRABLE = {
    "identity": (),
    "relu": ("max_value",),
    "leaky_relu": ("negative_slope",),
    "sigmoid": (),
    "hard_sigmoid": ("factor", "offset"),
    "tanh": (),
    "swish": (),
    "hard_swish": (),
    "elu": (),
    "gelu": ("approximate",),
    "softmax": (),
    "affine": ("factor", "offset"),
    "add": (),
    "subtract": (),
    "multiply": (),
    "concatenate": ("axis",),
    "reshape": (),
    "permute": ("permutation",),
    "pad": ("paddings",),
    "crop": ("croppings",),
    "upsample": ("factors",),
    "resize": (),
    "max_pool": ("pool_size", "strides", "padding"),
    "average_pool": ("pool_size", "strides", "padding"),
    "mean": ("keepdims",),
    "global_max_pool": (),
}
_registered = {}


def register_layer(layer_class, kind, attributes=None):
    """Tells the library what a layer class of your own computes, so that it is relaxed, folded and exported.

    Every layer of exactly this class is then treated as the named kind: what your `call` computes must be what the kind
    computes, which nothing checks here; `tfmp.fold` against your model shows it. Layers with a kernel cannot be
    registered, only those of `tfmp.layers` quantize one.

    Args:
        layer_class: The class, of either Keras. Registering it again replaces what was said before.
        kind: `"relu"`, `"swish"`, `"affine"`, ...: docs/layers.md has the list, with what each computes.
        attributes: Function of the layer's configuration (`get_config()`) that returns a dict of the attributes that
            the kind needs; None for kinds that need none.

    Raises:
        ValueError: If the kind is unknown, or needs attributes.
        TypeError: If `layer_class` is no class, or `attributes` no function.

    Example:
        >>> tfmp.register_layer(Clipped, "relu", lambda config: {"max_value": config["limit"]})
    """
    check_instance("layer_class", layer_class, type, "a class of layers")
    if attributes is not None:
        check_function("attributes", attributes, "a layer's configuration")
    check_choice("kind", kind, REGISTRABLE)
    if REGISTRABLE[kind] and attributes is None:
        raise ValueError(
            f"A layer of kind {kind!r} needs {', '.join(REGISTRABLE[kind])}. Give `attributes`, a function of its "
            "configuration that returns them as a dict."
        )
    _registered[layer_class] = kind, attributes


def kind_and_attributes(layer_class, config):
    """Returns what was registered for a class, or None.

    Raises:
        ValueError: If its attributes are not those of its kind.
    """
    if layer_class not in _registered:
        return None
    kind, function = _registered[layer_class]
    attributes = {} if function is None else dict(function(config))
    missing = [name for name in REGISTRABLE[kind] if name not in attributes]
    if missing:
        raise ValueError(
            f"Layer `{config.get('name')}` ({layer_class.__name__}) is registered as {kind!r}, which needs "
            f"{', '.join(REGISTRABLE[kind])}. Its `attributes` function returned: {', '.join(attributes) or 'nothing'}"
        )
    return kind, attributes
