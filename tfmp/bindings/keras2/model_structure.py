"""What a tf_keras model says in public about its structure."""

import tensorflow as tf
import tf_keras

from tfmp.mixins.distillation import DistillationMixin

# The class of functional models has no public name; Sequential ones are some.
_FUNCTIONAL = tf_keras.Sequential.__bases__[0]


def check_readable(model):
    """Raises an error that says what to do unless the model is built, and Sequential or functional."""
    if not isinstance(model, tf_keras.Model):
        raise TypeError(f"Expected a tf_keras model. Received: {type(model).__name__}")
    if not model.built:
        raise ValueError(
            f"Model `{model.name}` is not built: its weights do not exist yet. Give it a `tf_keras.Input`, or call "
            "`model.build(input_shape)`."
        )
    if not has_structure(model):
        raise ValueError(
            f"Model `{model.name}` is a subclass of `tf_keras.Model`: its structure is hidden in Python code. Build it "
            "as a functional model, `tf_keras.Model(inputs, outputs)`, for example by calling it once on "
            "`tf_keras.Input(...)`."
        )


def has_structure(layer) -> bool:
    """True for a built model whose layers and calls can be read; what a `call` of the user's own does cannot."""
    if not isinstance(layer, _FUNCTIONAL) or not layer.built or not layer.outputs:
        return False
    return type(layer).call in (_FUNCTIONAL.call, tf_keras.Sequential.call)


def model_class(model):
    """The class that builds a model like this one from inputs and outputs: its own, with its training step, if any."""
    if isinstance(model, DistillationMixin):
        return model_class(model.student)
    plain = type(model) is _FUNCTIONAL or isinstance(model, tf_keras.Sequential)
    return tf_keras.Model if plain or "input_layers" not in model.get_config() else type(model)


def nodes_by_layer(model):
    """Returns the calls that lead from a model's inputs to its outputs: layer to its calls, inputs left out.

    The layers come in the model's own order. Other calls of them, in other models, are not among these.
    """
    entrances = {id(tensor.node) for tensor in model.inputs}
    found, open_tensors = {}, list(tf.nest.flatten(model.outputs))
    while open_tensors:
        node = open_tensors.pop().node
        if id(node) not in found and id(node) not in entrances:
            found[id(node)] = node
            open_tensors += node.keras_inputs
    nodes = {layer: [node for node in layer.inbound_nodes if id(node) in found] for layer in model.layers}
    return {layer: own for layer, own in nodes.items() if own}


def find_layer(model, path):
    """Returns a layer by its path: `"conv1"`, or `"backbone/conv1"` in a nested model.

    Raises:
        ValueError: If there is none.
    """
    for layer in model.layers:
        if layer.name == path:
            return layer
        if isinstance(layer, tf_keras.Model) and path.startswith(f"{layer.name}/"):
            return find_layer(layer, path.removeprefix(f"{layer.name}/"))
    names = ", ".join(layer.name for layer in model.layers)
    raise ValueError(f"Model `{model.name}` has no layer `{path}`. Its layers: {names}")
