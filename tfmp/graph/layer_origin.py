"""The framework's own description of a layer."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class LayerOrigin:
    """What a binding builds a layer again from.

    Args:
        layer_class: The class of the framework; None for a layer that a transform made, whose class follows from its
            kind.
        config: The arguments of the class, as its `get_config` writes them.
        wrapper: What another library put around the layer, as its binding describes it; None if nothing.
        part_of: Name of the layer whose wrapper does what this one describes; `""` for a layer of the user's model.
    """

    layer_class: type | None = None
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    wrapper: Any = None
    part_of: str = ""

    @property
    def class_name(self) -> str:
        """Name of the class, `""` for a layer that a transform made."""
        return "" if self.layer_class is None else self.layer_class.__name__

    @property
    def package(self) -> str:
        """The package that defines the class, `"keras"` for example; `""` for a layer that a transform made."""
        return "" if self.layer_class is None else self.layer_class.__module__.split(".")[0]

    def replace_config(self, **changes: Any) -> "LayerOrigin":
        """The same with some arguments of the class changed or added."""
        return dataclasses.replace(self, config={**self.config, **changes})
