"""Explains why a layer has no integer form, and what to use instead."""

from tfmp.operators import TABLE
from tfmp.operators.composites.attention import CORE_REASON
from tfmp.operators.fold_error import with_article
from tfmp.operators.operator_table import function_names, substitute

_FRAMEWORKS = ("keras", "tf_keras", "tfmp")
_WRAPPED = (
    "it runs another layer its own way, which has no integer form",
    "Call that layer directly: `Dense` takes any number of axes",
)
# Maps the name of a Keras class, of the layer or a base class, to the reason and the way out.
_BY_CLASS = {
    "Wrapper": _WRAPPED,
    "Bidirectional": _WRAPPED,
    "AttentionCore": (CORE_REASON, ""),
    "RNN": ("it is recurrent, which has no integer form", ""),
    "Lambda": (
        "it is a Python function: what it computes is hidden, so it has no integer form",
        "Compute it on the model's tensors or in a layer class of your own, or say what the function computes with "
        "`tfmp.register_layer`",
    ),
    "Model": (
        "it is a subclass of `keras.Model`: its structure is hidden in Python code, so it has no integer form",
        "Build it as `keras.Model(inputs, outputs)`",
    ),
    "Sequential": ("its layers can only be read once it is built", "Build it, or give it an `Input`"),
}
_AUGMENTING = ("Random", "RandAugment", "AugMix", "CutMix", "MixUp")


def unknown_attributes(operation, config, attributes, framework) -> dict[str, str]:
    """Returns the attributes of a layer of kind `"other"`, which explain why it has no integer form.

    Args:
        operation: The layer, or the operation used without one.
        config: Its configuration.
        attributes: Its framework-independent attributes.
        framework: `"keras"` or `"tf_keras"`.

    Returns:
        `left_because`, the reason: a clause that begins with "it" or "its"; or, for an activation, `function`, what it
        computes. `way_out`: a sentence without a full stop, empty if there is no advice.
    """
    if type(operation).__name__ == "Activation" and _is_keras(type(operation)):
        return unknown_activation(config)
    reason, way_out = _reason_and_way_out(operation, config, attributes, framework)
    return {"left_because": reason, "way_out": way_out}


def unknown_activation(config):
    """Returns the attributes of a layer with an activation that the library does not know."""
    names = ", ".join(function_names())
    return {
        "function": _in_words(config),
        "way_out": f"Give an activation by its name, one of {names}; or as a layer of its own",
    }


def _in_words(config):
    """Describes an activation that is a name, a function or an object."""
    activation = config.get("activation")
    if isinstance(activation, str):
        return f"`{activation}`"
    if callable(activation):
        return f"the function `{getattr(activation, '__name__', type(activation).__name__)}`"
    if not isinstance(activation, dict) or "class_name" not in activation:
        return "a lambda"  # which Keras saves as code
    if activation["class_name"] == "function":
        return f"the function `{activation['config']}`"
    return f"a `{activation['class_name']}` object"


def _reason_and_way_out(operation, config, attributes, framework):
    if attributes.get("data_format") == "channels_first":
        return (
            "its channels come first, which the runtime has no kernels for",
            'Build it with `data_format="channels_last"`',
        )
    bases = [base.__name__ for base in type(operation).__mro__ if _is_keras(base)]
    for base in bases:
        if base in _BY_CLASS:
            return _BY_CLASS[base]
    name = type(operation).__name__
    if not _is_keras(type(operation)):
        return (
            f"it is {with_article(name)}, which has no integer form",
            "If it computes what a known layer computes, say so with `tfmp.register_layer`",
        )
    if isinstance(config.get("function"), str):  # a TensorFlow function called on tf_keras tensors
        function = config["function"]
        shown = "a slice" if function == "__operators__.getitem" else f"`tf.{function}`"
        return f"it computes {shown}, which has no integer form", _use(substitute(function), framework)
    forms = {each: form for operator in TABLE.values() for each, form in operator.forms.items()}
    if name in forms:
        return f"it is {with_article(name)} whose arguments have no integer form", f"Write one {forms[name]}"
    if not hasattr(operation, "trainable"):  # as layers have
        return f"it is the operation `{name}`, which has no integer form", _use(substitute(name), framework)
    if name.startswith(_AUGMENTING) and name != "RandomCrop":
        way_out = "Apply it to the training data, not in the model: at inference it does nothing"
    else:
        way_out = _use(substitute(name), framework)
    return f"it is {with_article(name)}, which has no integer form", way_out


def _is_keras(layer_class):
    return layer_class.__module__.split(".")[0] in _FRAMEWORKS


def _use(layer, framework):
    return f"Where it computes the same, write `{framework}.layers.{layer}`" if layer else ""
