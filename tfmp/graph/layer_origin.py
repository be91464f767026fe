"""The framework's own description of a layer and of a model used as a layer."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class LayerOrigin:
    """The class and configuration from which a binding builds a layer again.

    Args:
        layer_class: The class of the framework; None for a layer that a transform added, whose class follows from its
            kind.
        config: The arguments of the class, as returned by its `get_config`.
        wrapper: The wrapper that another library put around the layer, as its binding describes it; None without one.
        part_of: Name of the layer whose wrapper does what this layer describes; `""` for a layer of the user's model.
    """

    layer_class: type | None = None
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    wrapper: Any = None
    part_of: str = ""

    @property
    def class_name(self) -> str:
        """Name of the class, `""` for a layer that a transform added."""
        return "" if self.layer_class is None else self.layer_class.__name__

    @property
    def package(self) -> str:
        """The package that defines the class, `"keras"` for example; `""` for a layer that a transform added."""
        return "" if self.layer_class is None else self.layer_class.__module__.split(".")[0]

    def replace_config(self, **changes: Any) -> "LayerOrigin":
        """Returns the origin with some arguments of the class changed or added."""
        return dataclasses.replace(self, config={**self.config, **changes})


@dataclasses.dataclass(frozen=True)
class Submodel:
    """One call of a nested model. Its layers and calls are in the graph like all others.

    Args:
        name: Where the inner model is: `"backbone"`, or `"detector/backbone"` if it is nested twice. Its layers are
            named `"<name>/<layer>"`; several calls of one model have the same name and share its layers.
        inputs: The structure (tuple, list, dict) of the inner model's inputs with a `TensorRef` for what each receives.
        outputs: The structure of its outputs, likewise.
        arguments: Other arguments of the call, `training` for example.
        config: The framework's own configuration of the inner model.
        trainable: False if the user froze it as a whole.
        within: The call that contains this one; `""` in the outermost model.
    """

    name: str
    inputs: Any
    outputs: Any
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    trainable: bool = True
    within: str = ""
