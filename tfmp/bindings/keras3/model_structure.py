"""What the public configuration of a Keras 3 model says about its structure."""

import keras

from tfmp.bindings.layer_reader import no_configuration
from tfmp.mixins.distillation import DistillationMixin


def check_readable(model):
    """Raises an error that says what to do unless the model is built, and Sequential or functional."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"Expected a Keras 3 model. Received: {type(model).__name__}")
    if not model.built:
        raise ValueError(
            f"Model `{model.name}` is not built: its weights do not exist yet. Give it a `keras.Input`, or call "
            "`model.build(input_shape)`."
        )
    if not has_structure(model):
        raise ValueError(
            f"Model `{model.name}` is a subclass of `keras.Model`: its structure is hidden in Python code. Build it as "
            "a functional model, `keras.Model(inputs, outputs)`, for example by calling it once on `keras.Input(...)`."
        )


def has_structure(operation) -> bool:
    """True for a built model whose layers and calls can be read; what a `call` of the user's own does cannot."""
    if isinstance(operation, keras.Sequential):
        return operation.built and type(operation).call is keras.Sequential.call and hasattr(operation, "inputs")
    return is_functional(operation) and type(operation).call is _functional_class().call


def is_functional(operation) -> bool:
    """True for models made of inputs and outputs, subclasses of them included."""
    return isinstance(operation, _functional_class())


def model_class(model):
    """Returns the class that builds such a model from inputs and outputs: its own, if it takes them, else Keras'."""
    if isinstance(model, DistillationMixin):
        return model_class(model.student)
    if not is_functional(model) or type(model) is _functional_class() or "input_layers" not in model.get_config():
        return keras.Model
    return type(model)


def functional_config(model):
    """Returns the configuration of a functional model with its layers, calls, inputs and outputs.

    Raises:
        ValueError: If a layer in it has no configuration; the message names the layer.
    """
    try:
        config = model.get_config()
        # A subclass with a constructor of its own has a configuration of its own too.
        return config if "input_layers" in config else keras.Model(model.input, model.output).get_config()
    except NotImplementedError:
        for operation in model.operations:
            _check_config(operation)
        raise


def map_histories(structure, function):
    """Maps `[layer, node, tensor]` triples in the nested structure of a model's inputs or outputs."""
    if isinstance(structure, dict):
        return {key: map_histories(item, function) for key, item in structure.items()}
    if len(structure) == 3 and isinstance(structure[0], str):
        return function(structure)
    return type(structure)(map_histories(item, function) for item in structure)


def find_operation(model, path):
    """A layer, or an operation used without one, by its path: `"conv1"`, or `"backbone/conv1"` in a nested model."""
    *models, name = path.split("/")
    for part in models:
        model = model.get_layer(part)
    operations = model.layers if isinstance(model, keras.Sequential) else model.operations
    found = next((operation for operation in operations if operation.name == name), None)
    if found is None:
        raise ValueError(
            f"Model `{model.name}` has no layer `{name}`. Its layers: {', '.join(o.name for o in operations)}"
        )
    return found


def _check_config(operation):
    try:
        operation.get_config()
    except NotImplementedError as error:
        raise no_configuration(operation, "keras") from error


_FUNCTIONAL = []


def _functional_class():
    """The class of functional models, which has no public name."""
    if not _FUNCTIONAL:
        inputs = keras.Input((1,))
        _FUNCTIONAL.append(type(keras.Model(inputs, inputs)))
    return _FUNCTIONAL[0]
