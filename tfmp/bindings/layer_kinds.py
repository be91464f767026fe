"""What a layer of either Keras computes, in words that no framework owns."""

from tfmp.bindings import activation_kinds
from tfmp.bindings.constant_operands import affine_attributes, comparison_attributes
from tfmp.graph.integer_graph import COMPARISONS

MULTIPLYING = {
    "Conv2D": "conv2d",
    "DepthwiseConv2D": "depthwise_conv2d",
    "Conv2DTranspose": "conv2d_transpose",
    "Conv1D": "conv1d",
    "DepthwiseConv1D": "depthwise_conv1d",
    "Dense": "dense",
}
OTHER = "other"
_FRAMEWORKS = ("keras", "tf_keras", "tfmp")
_MIXED_PREFIX = "MixedPrecision"
_AUGMENTATIONS = (  # which change images in training alone
    "AugMix",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
)
_KINDS = {
    "InputLayer": "input",
    "Quantize": "quantize",
    "SeparableConv2D": "separable_conv2d",
    "SeparableConv1D": "separable_conv1d",
    "BatchNormalization": "batch_normalization",
    "RangeBatchNormalization": "batch_normalization",
    "Normalization": "normalization",
    "Rescaling": "affine",
    "Add": "add",
    "Subtract": "subtract",
    "Multiply": "multiply",
    "Concatenate": "concatenate",
    "Flatten": "reshape",
    "Reshape": "reshape",
    "ExpandDims": "reshape",
    "Squeeze": "reshape",
    "Permute": "permute",
    "Transpose": "permute",
    "RepeatVector": "repeat",
    "ZeroPadding1D": "pad",
    "ZeroPadding2D": "pad",
    "Pad": "pad",
    "Cropping1D": "crop",
    "Cropping2D": "crop",
    "UpSampling1D": "upsample",
    "UpSampling2D": "upsample",
    "MaxPooling1D": "max_pool",
    "MaxPooling2D": "max_pool",
    "AveragePooling1D": "average_pool",
    "AveragePooling2D": "average_pool",
    "GlobalAveragePooling1D": "mean",
    "GlobalAveragePooling2D": "mean",
    "Mean": "mean",
    "GlobalMaxPooling1D": "global_max_pool",
    "GlobalMaxPooling2D": "global_max_pool",
    "Identity": "identity",
    "Dropout": "identity",
    "SpatialDropout1D": "identity",
    "SpatialDropout2D": "identity",
    "AlphaDropout": "identity",
    "GaussianDropout": "identity",
    "GaussianNoise": "identity",
    "ActivityRegularization": "identity",
    "Cast": "cast",
    "Argmax": "arg_max",
    "Argmin": "arg_min",
    "Greater": "greater",
    "GreaterEqual": "greater_equal",
    "Less": "less",
    "LessEqual": "less_equal",
    "Equal": "equal",
    "NotEqual": "not_equal",
    "LogicalAnd": "logical_and",
    "LogicalOr": "logical_or",
    "LogicalNot": "logical_not",
    **dict.fromkeys(_AUGMENTATIONS, "identity"),
}
_ACTIVATION_CLASSES = (
    "Activation",
    "ReLU",
    "LeakyReLU",
    "PReLU",
    "ELU",
    "Softmax",
    "Clip",
    *activation_kinds.OPERATIONS,
)
_COPIED = ("strides", "padding", "pool_size", "dilation_rate", "groups", "axis", "epsilon", "data_format", "use_bias")
_COPIED += ("keepdims", "kernel_size", "depth_multiplier", "filters", "output_padding")
# Dimensions that a kind takes apart as height, width and channels, in this order.
_ORDER_FREE = ("input", "identity", "quantize", "affine", "reshape", "add", "subtract", "multiply", "concatenate")


def kind_and_attributes(layer_class, config, *, call=None, framework="keras"):
    """Returns a layer's kind and its attributes in neutral terms.

    Args:
        layer_class: Its class, or the class of an operation used without a layer; or the name that such a class has.
            Classes of others are not known, whatever their name.
        config: Its configuration.
        call: One `tfmp.graph.Call` of it: constants among its arguments make additions and products affine maps.
        framework: `"keras"` or `"tf_keras"`, which do not mean the same by every name.

    Returns:
        `(kind, attributes)`; kind `"other"` for what the library has no word for.
    """
    if isinstance(layer_class, type):
        known = layer_class.__module__.split(".")[0] in _FRAMEWORKS
        layer_class = layer_class.__name__ if known else ""
    attributes = {name: config[name] for name in _COPIED if name in config}
    if "activation" in config:
        attributes["activation"] = activation_kinds.activation_name(config)
    plain_name = layer_class.removeprefix(_MIXED_PREFIX)
    if plain_name in MULTIPLYING:
        return MULTIPLYING[plain_name], attributes
    if layer_class in _ACTIVATION_CLASSES:
        return activation_kinds.of_layer(layer_class, config, framework) or (OTHER, attributes)
    if call is not None and len(call.inputs) == 1:
        constant = affine_attributes(layer_class, call)
        if constant is not None:
            return constant
    kind = _KINDS.get(layer_class, OTHER)
    if attributes.get("data_format") == "channels_first" and kind not in _ORDER_FREE:
        return OTHER, attributes
    if kind == "upsample" and config.get("interpolation") == "bilinear":
        return "resize", attributes
    found = _OWN_ATTRIBUTES.get(kind, lambda *_: {})(config, call)
    return (OTHER, attributes) if found is None else (kind, {**attributes, **found})


def _several(config, call):
    return None if call is not None and len(call.inputs) < 2 else {}


def _rescaling(config, call):
    return {"factor": config["scale"], "offset": config["offset"]}


def _normalization(config, call):
    return {name: config.get(name) for name in ("mean", "variance", "invert")}


def _permutation(config, call):
    if "dims" in config:
        return {"permutation": (0, *config["dims"])}
    axes = config.get("axes")
    return {"permutation": tuple(axes)} if axes is not None and axes[0] == 0 else None


def _sides(padding):
    """Pairs (before, after) for every axis between batch and channels."""
    if not isinstance(padding, list | tuple):
        return ((padding, padding),)
    return tuple(tuple(side) for side in padding) if isinstance(padding[0], list | tuple) else (tuple(padding),)


def _paddings(config, call):
    if "pad_width" not in config:
        return {"paddings": _sides(config["padding"])}
    sides = tuple(map(tuple, config["pad_width"]))
    zeros = config["mode"] == "constant" and not (call and call.kwargs.get("constant_values"))
    return {"paddings": sides[1:-1]} if zeros and sides[0] == sides[-1] == (0, 0) else None


def _croppings(config, call):
    return {"croppings": _sides(config["cropping"])}


def _upsampling(config, call):
    size = config["size"]
    factors = tuple(size) if isinstance(size, list | tuple) else (size,)
    return {"factors": factors} if config.get("interpolation", "nearest") == "nearest" else None


def _repetition(config, call):
    return {"count": config["n"]}


def _mean(config, call):
    if "axis" not in config:
        return {"keepdims": config.get("keepdims", False)}
    return {} if config["axis"] in ((1, 2), [1, 2]) else None


def _index(config, call):
    return None if config.get("axis") in (None, 0) else {}  # over all samples, or across them


def _comparison(config, call):
    return {} if call is None else comparison_attributes(call)


def _of_tensors(count):
    return lambda config, call: {} if call is None or len(call.inputs) == count else None


_OWN_ATTRIBUTES = {  # function of (configuration, call); None if the kind has no such form
    "add": _several,
    "subtract": _several,
    "multiply": _several,
    "affine": _rescaling,
    "normalization": _normalization,
    "permute": _permutation,
    "pad": _paddings,
    "crop": _croppings,
    "upsample": _upsampling,
    "repeat": _repetition,
    "mean": _mean,
    "arg_max": _index,
    "arg_min": _index,
    **dict.fromkeys(COMPARISONS, _comparison),
    "logical_and": _of_tensors(2),
    "logical_or": _of_tensors(2),
    "logical_not": _of_tensors(1),
}
KINDS = frozenset({*_KINDS.values(), *MULTIPLYING.values(), *activation_kinds.KINDS, "resize", OTHER})
