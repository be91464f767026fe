"""What an activation computes, whether it is a layer, an operation or the last step of another layer."""

OPERATIONS = {  # by their names in Keras 3, those of functions used without a layer
    "Relu": "relu",
    "Relu6": "relu6",
    "LeakyRelu": "leaky_relu",
    "Sigmoid": "sigmoid",
    "HardSigmoid": "hard_sigmoid",
    "Tanh": "tanh",
    "Silu": "silu",
    "HardSilu": "hard_silu",
    "Elu": "elu",
    "Gelu": "gelu",
}
_KINDS = {
    "linear": ("identity", {}),
    "relu": ("relu", {"max_value": None}),
    "relu6": ("relu", {"max_value": 6.0}),
    "leaky_relu": ("leaky_relu", {"negative_slope": 0.2}),
    "sigmoid": ("sigmoid", {}),
    "hard_sigmoid": ("hard_sigmoid", {"factor": 1 / 6, "offset": 0.5}),
    "tanh": ("tanh", {}),
    "silu": ("swish", {}),
    "swish": ("swish", {}),
    "hard_silu": ("hard_swish", {}),
    "hard_swish": ("hard_swish", {}),
    "elu": ("elu", {}),
    "gelu": ("gelu", {"approximate": False}),
    "softmax": ("softmax", {}),
}
NAMES = tuple(sorted(_KINDS))
KINDS = frozenset({kind for kind, _ in _KINDS.values()} | {"prelu"})
_IN_TF_KERAS = {"hard_sigmoid": ("hard_sigmoid", {"factor": 0.2, "offset": 0.5})}


def activation_name(config):
    """Name of the activation in a layer's configuration; `"custom"` if Keras itself does not provide it."""
    activation = config.get("activation")
    if activation is None:
        return "linear"
    if isinstance(activation, dict):
        if activation.get("registered_name", "function") not in (None, "function"):
            return "custom"
        activation = activation.get("config")
    return activation if isinstance(activation, str) else "custom"


def unknown(config):
    """Returns the attributes of a layer that computes an activation which the library has no word for."""
    names = ", ".join(NAMES)
    return {
        "function": _in_words(config),
        "way_out": f"Give an activation by its name, one of {names}; or as a layer of its own",
    }


def _in_words(config):
    """A name, a function or an object."""
    activation = config.get("activation")
    if isinstance(activation, str):
        return f"`{activation}`"
    if callable(activation):
        return f"the function `{getattr(activation, '__name__', type(activation).__name__)}`"
    if not isinstance(activation, dict) or "class_name" not in activation:
        return "a lambda"  # of which Keras writes the code
    if activation["class_name"] == "function":
        return f"the function `{activation['config']}`"
    return f"a `{activation['class_name']}` object"


def of_name(name, framework):
    """Returns the kind and the attributes of an activation by its name, or None if the library has no word for it."""
    return (_IN_TF_KERAS.get(name) if framework == "tf_keras" else None) or _KINDS.get(name)


def of_layer(class_name, config, framework):
    """The same for a layer or an operation that computes nothing else."""
    if class_name == "Activation":
        return of_name(activation_name(config), framework)
    if class_name == "PReLU":
        return "prelu", {}
    if class_name == "ReLU":
        return _rectification(config)
    if class_name in ("LeakyReLU", "LeakyRelu"):
        return "leaky_relu", {"negative_slope": float(config.get("negative_slope", config.get("alpha")))}
    if class_name in ("ELU", "Elu"):
        return ("elu", {}) if float(config["alpha"]) == 1 else None
    if class_name == "Clip":
        return _rectification({"max_value": config["x_max"]}) if config["x_min"] == 0 else None
    if class_name == "Softmax":
        return ("softmax", {}) if config.get("axis", -1) == -1 else None
    if class_name == "Gelu":
        return "gelu", {"approximate": bool(config.get("approximate", True))}
    return of_name(OPERATIONS[class_name], framework)


def _rectification(config):
    slope, threshold, max_value = (config.get(key) for key in ("negative_slope", "threshold", "max_value"))
    if threshold:
        return None
    if slope:
        return ("leaky_relu", {"negative_slope": float(slope)}) if max_value is None else None
    return "relu", {"max_value": None if max_value is None else float(max_value)}
