"""Finds parts of a configuration that would run code if the model were built from it."""

import re
from collections.abc import Callable, Mapping
from typing import Any

# Packages whose classes may be imported by the module name in a file.
_PACKAGES = ("keras", "tf_keras", "keras_hub", "keras_cv", "keras_nlp", "tensorflow_model_optimization", "tensorflow")
_FUNCTION_MODULES: tuple[str, ...] = (
    "activations",
    "constraints",
    "initializers",
    "losses",
    "metrics",
    "ops",
    "optimizers",
)
_FUNCTION_MODULES += ("regularizers",)
_FOREIGN_PROGRAMS = ("TFSMLayer", "TorchModuleWrapper", "TensorFlowOpLayer", "ClassMethod")
_UNREGISTERED = "which is not registered with Keras"
_REGISTER = "Import the module that registers it first, or pass it in `custom_objects`"
_LOOKUPS = ("StringLookup", "IntegerLookup", "TextVectorization", "IndexLookup")
_VALUES = ("__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__", "__tuple__")
_CLASS, _FUNCTION = re.compile(r"[A-Z]\w*"), re.compile(r"[A-Za-z]\w*")

# Functions of TensorFlow that `TFOpLambda` may call: they compute tensors and have no side effects.
_TENSOR_MODULES: tuple[str, ...] = (
    "math",
    "nn",
    "linalg",
    "image",
    "signal",
    "bitwise",
    "random",
    "strings",
    "dtypes",
    "quantization",
)
_TENSOR_MODULES += ("ragged", "sparse", "__operators__", "keras.activations", "keras.losses", "keras.metrics")
_TENSOR_MODULES += ("keras.backend",)
_TENSOR_FUNCTIONS = frozenset(
    """argsort batch_to_space bitcast boolean_mask broadcast_dynamic_shape broadcast_static_shape broadcast_to cast
    clip_by_global_norm clip_by_norm clip_by_value concat constant convert_to_tensor dynamic_partition
    dynamic_stitch edit_distance einsum ensure_shape expand_dims extract_volume_patches eye fill fingerprint gather
    gather_nd histogram_fixed_width identity identity_n linspace meshgrid norm one_hot ones ones_like pad
    parallel_stack range rank realdiv repeat reshape reverse reverse_sequence roll saturate_cast scatter_nd
    searchsorted sequence_mask shape shape_n size slice sort space_to_batch space_to_batch_nd split squeeze stack
    stop_gradient strided_slice tensor_scatter_nd_add tensor_scatter_nd_max tensor_scatter_nd_min
    tensor_scatter_nd_sub tensor_scatter_nd_update tensordot tile transpose truncatediv truncatemod unique
    unique_with_counts unravel_index unstack where zeros zeros_like""".split()
)


def check_trusted(path: str, config: Any, is_provided: Callable[[str, str | None], bool]) -> None:
    """Raises an error for a configuration whose model cannot be built without running code from the file.

    It refuses functions stored as code, at any level of nesting; layers that run programs of another format; classes
    and functions that Keras would import by the module that the file names; TensorFlow functions that access files.

    Args:
        path: The file, for the error.
        config: The configuration as parsed from JSON.
        is_provided: Whether the user's own program provides a class or function of a name and a module: it is
            registered with Keras, passed, or imported already. That is trusted.

    Raises:
        ValueError: If the configuration has such a part; the message names the layer.
    """
    problem = _find_untrusted(config, is_provided)
    if problem:
        way_out = f"{_REGISTER}; or, if" if problem.endswith(_UNREGISTERED) else "If"
        raise ValueError(f"{path!r} is not loaded: {problem}. {way_out} you trust the file, pass safe_mode=False.")


def _find_untrusted(config, is_provided):
    pending = [(config, "the model")]
    while pending:
        part, owner = pending.pop()
        if isinstance(part, Mapping):
            inner = part.get("config")
            if isinstance(inner, Mapping) and inner.get("name") and part.get("class_name"):
                owner = f"`{inner['name']}` ({part['class_name']})"
            problem = _of_function(part) or _of_object(part, is_provided)
            if problem:
                return f"{owner} {problem}"
            pending += [(value, owner) for value in part.values()]
        elif isinstance(part, list):
            pending += [(value, owner) for value in part]
    return None


def _of_function(part):
    """Reports a function stored as code: Keras 2 adds `function_type`, `mask_type`, ..., Keras 3 `__lambda__`."""
    if any(str(key).endswith("_type") and value == "lambda" for key, value in part.items()):
        return "holds a Python function as code"
    return "holds a Python function as code" if part.get("class_name") == "__lambda__" else None


def _of_object(part, is_provided):
    if "class_name" not in part:
        return None
    name, module, inner = part["class_name"], part.get("module"), part.get("config")
    if name == "function":
        return _of_named_function(inner, module, is_provided)
    if name == "__typespec__":
        return _of_type(part, is_provided)
    if name in _VALUES and module is None:
        return None
    # The formats of Keras 2 have no modules: only the class name counts there.
    is_class = isinstance(name, str) and (_CLASS.fullmatch(name) or ">" in name or is_provided(name, None))
    if not is_class:
        return f"is made by `{name}`, which is no class of Keras"
    problem = _of_class(name, inner if isinstance(inner, Mapping) else {})
    if problem or module is None or _package(module) in _PACKAGES:
        return problem
    registered_name = part.get("registered_name", name)
    if isinstance(registered_name, str) and is_provided(registered_name, module):
        return None
    return f"is of a class of `{module}`, {_UNREGISTERED}"


def _of_class(name, config):
    if name in _FOREIGN_PROGRAMS:
        return "runs a program that is not made of Keras layers"
    if name.endswith("OpLambda") and not _computes_tensors(config.get("function")):
        return f"calls the TensorFlow function `{config.get('function')}`"
    if name in ("InstanceMethod", "InstanceProperty") and str(config.get("attr_name")).startswith("_"):
        return f"reads the private attribute `{config['attr_name']}` of a tensor"
    if name == "Lambda" and isinstance(config.get("function"), list):
        return "holds a Python function as code"
    if name in _LOOKUPS and isinstance(config.get("vocabulary"), str):
        return f"reads the file {config['vocabulary']!r}"
    return None


def _of_named_function(name, module, is_provided):
    if not isinstance(name, str):
        return f"names the function {name!r}"
    if is_provided(name, None):
        return None
    package, _, rest = str(module).partition(".")
    is_of_keras = package in ("keras", "tf_keras") and rest.split(".")[0] in _FUNCTION_MODULES
    if (module in (None, "builtins") or is_of_keras) and _FUNCTION.fullmatch(name):
        return None
    return f"uses the function `{name}` of `{module}`, {_UNREGISTERED}"


def _of_type(part, is_provided):
    name, module, registered_name = (part.get(key) for key in ("spec_name", "module", "registered_name"))
    if isinstance(registered_name, str) and is_provided(registered_name, None):
        return None
    is_class = isinstance(name, str) and _CLASS.fullmatch(name)
    return None if is_class and _package(module) in _PACKAGES else f"names the type `{name}` of `{module}`"


def _package(module):
    return str(module).partition(".")[0]


def _computes_tensors(function):
    name = str(function).removeprefix("compat.v1.")
    return name in _TENSOR_FUNCTIONS or name.rpartition(".")[0] in _TENSOR_MODULES
