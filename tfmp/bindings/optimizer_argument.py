"""Resolves optimizers given by name, configuration or instance."""

from tfmp.checks import received


def optimizer_of(optimizers, name, identifier):
    """Returns an optimizer of a Keras.

    Args:
        optimizers: Its module of optimizers.
        name: What the caller calls the argument.
        identifier: An optimizer, its name or its configuration.

    Raises:
        ValueError: If it is none of them, or a legacy optimizer.
    """
    try:
        found = optimizers.get(identifier)
    except (KeyError, TypeError, ValueError):
        found = None
    if not isinstance(found, optimizers.Optimizer):
        legacy = "" if found is None else ", a legacy optimizer; take the class of the same name there"
        raise ValueError(
            f"`{name}` must be an optimizer of `{optimizers.__name__.split('.')[0]}.optimizers`, or its name. "
            f"Received: {received(identifier)}{legacy}"
        )
    return found
