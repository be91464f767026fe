"""What callbacks share that watch a search."""

from typing import Any

from tfmp.annotations import KerasMixin, KerasModel
from tfmp.bindings.framework import check_callback
from tfmp.checks import check_instance
from tfmp.mixins.mixed_precision_search import MixedPrecisionSearchMixin


class SearchObserver(KerasMixin):
    """A callback beside a search in the same `fit`.

    Args:
        search: The `MixedPrecisionSearch`.

    Raises:
        TypeError: If `search` is not a search, or the model belongs to the other Keras.
    """

    framework_name = ""  # of the class

    def __init__(self, search: Any):
        super().__init__()
        self._search = check_instance("search", search, MixedPrecisionSearchMixin, "a `MixedPrecisionSearch`")

    def set_model(self, model: KerasModel) -> None:
        check_callback(model, self.framework_name)
        super().set_model(model)
