"""Evaluates during a search the network that it would leave."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmp.bindings.search_observer import SearchObserver
from tfmp.mixins.restoring import restoring
from tfmp.search.remaining_choices import RemainingChoices

_CERTAIN = 50.0  # nats: other candidates have a probability below 1e-21, which vanishes in float32


class DiscreteEvaluationHooks(SearchObserver):
    """Evaluates, after each epoch of a search, the network at the bits that it would choose by now.

    A mixture of candidates computes at a higher precision than it pays for, so its accuracy does not show what the
    search leaves. This callback sets every tensor to the candidate of the most probable assignment within the budget,
    evaluates the model, and restores the logits. Weights and statistics of normalizations are those of the search:
    fine-tuning starts near this accuracy if the search has trained the weights for these bits.

    Put it after the search in the list of callbacks.

    Args:
        search: The `MixedPrecisionSearch` of the same `fit`.
        x: Held-out inputs, or data with targets that `evaluate` accepts.
        y: Targets, if `x` has none.
        batch_size: For arrays.

    Logs, at the end of each epoch: the metrics of the compiled model, each as `discrete_<name>`, for example
    `discrete_accuracy`. `discrete_loss` contains the price of the bits, as `loss` does.

    Raises:
        TypeError: If `search` is not a search, or the model belongs to the other Keras.

    Example:
        >>> evaluation = tfmp.DiscreteEvaluation(search, x_valid, y_valid)
        >>> search_model.fit(x, y, epochs=10, callbacks=[search, evaluation])
    """

    def __init__(self, search: Any, x: Any, y: Any = None, *, batch_size: int | None = None):
        super().__init__(search)
        self._data, self._batch_size = (x, y), batch_size

    def evaluate(self) -> Mapping[str, float]:
        """Returns the metrics of the model at the most probable bits within the budget."""
        search, (x, y) = self._search, self._data
        chosen = RemainingChoices(search.penalties).candidates(search.probabilities(), {})
        with restoring(search.logits()):
            for (name, axis), index in chosen.items():
                layer = search.framework.layer(self.model, name)
                selector = (layer.weight_selector, layer.activation_selector)[axis]
                if selector is not None and selector.logits is not None:
                    # An annealed choice divides the logits by its temperature.
                    scale = 1.0 if selector.temperature is None else max(1.0, float(np.asarray(selector.temperature)))
                    selector.logits.assign(_CERTAIN * scale * np.eye(len(selector.bits), dtype=np.float32)[index])
            return self.model.evaluate(x, y, batch_size=self._batch_size, verbose=0, return_dict=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs.update({f"discrete_{name}": float(value) for name, value in self.evaluate().items()})
