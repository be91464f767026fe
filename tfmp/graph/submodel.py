"""A model used as a layer of another."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Submodel:
    """One use of a model inside a model. Its layers and calls are in the graph like all others.

    Args:
        name: Where the inner model is: `"backbone"`, or `"detector/backbone"` if it is nested twice. Its layers are
            named `"<name>/<layer>"`; several uses of one model have one name, and share its layers.
        inputs: The structure (tuple, list, dict) of the inner model's inputs with a `TensorRef` for what each receives.
        outputs: The same for what it returns.
        arguments: Other arguments of the call, `training` for example.
        config: The framework's own configuration of the inner model.
        trainable: False if the user froze it as a whole.
        within: The use that this one lies in; `""` if it lies in the outermost model.
    """

    name: str
    inputs: Any
    outputs: Any
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    trainable: bool = True
    within: str = ""
