"""Shows in TensorBoard how a search chooses bits."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp.bindings.search_observer import SearchObserver
from tfmp.checks import check_path

_TENSORS = ("weights", "activations")
_CELL_PIXELS = 12


class BitSummariesHooks(SearchObserver):
    """Writes the bits of a search to TensorBoard after each epoch.

    Put it after the search in the list of callbacks. It writes, for weights and for activations:

    - `bits_of_all_layers/weights`, a histogram of the most probable bits of the layers;
    - `probabilities/weights`, an image: a row for each layer, a column for each number of bits, white at probability 1.
      Its description names the rows and columns;
    - `bits/LAYER/weights`, a scalar: the mean of the layer's candidates, weighted by their probabilities;

    and as scalars the figures of the search, with `search/` before their names: expected and discrete cost, multiplier,
    entropy. The step is the epoch, counted from 1. Tensors without a choice are left out.

    Args:
        search: The `MixedPrecisionSearch` of the same `fit`.
        log_dir: Folder for TensorBoard; created if missing.

    Raises:
        TypeError: If `search` is not a search, or the model belongs to the other Keras.

    Example:
        >>> summaries = tfmp.BitSummaries(search, "logs/bits")
        >>> search_model.fit(x, y, epochs=10, callbacks=[search, summaries])
    """

    def __init__(self, search: Any, log_dir: str | os.PathLike[str]):
        super().__init__(search)
        self._log_dir = os.fspath(check_path("log_dir", log_dir))
        self._writer: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._writer = tf.summary.create_file_writer(self._log_dir)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        with self._writer.as_default(step=epoch + 1):
            for name, value in self._search.summary().items():
                tf.summary.scalar(f"search/{name}", value)
            for tensor, rows in zip(_TENSORS, self._choices(), strict=True):
                if rows:
                    _write(tensor, rows)
        self._writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._writer.close()

    def _choices(self) -> Iterator[dict[str, tuple[tuple[int, ...], np.ndarray]]]:
        """Yields, for weights and activations, the candidates and probabilities of the layers that have a choice."""
        layers = self._search.penalties[0].priced.graph.layers
        probabilities = self._search.probabilities()
        for axis in range(len(_TENSORS)):
            candidates = {name: (layers[name].weight, layers[name].activation)[axis].bits for name in probabilities}
            yield {name: (bits, probabilities[name][axis]) for name, bits in candidates.items() if len(bits) > 1}


def _write(tensor, rows):
    tf.summary.histogram(f"bits_of_all_layers/{tensor}", [bits[np.argmax(shares)] for bits, shares in rows.values()])
    for name, (bits, shares) in rows.items():
        tf.summary.scalar(f"bits/{name}/{tensor}", float(np.dot(bits, shares)))
    columns = sorted({each for bits, _ in rows.values() for each in bits})
    picture = np.zeros((len(rows), len(columns)), np.float32)
    for row, (bits, shares) in enumerate(rows.values()):
        picture[row, np.searchsorted(columns, bits)] = shares
    cells = np.kron(picture, np.ones((_CELL_PIXELS, _CELL_PIXELS), np.float32))
    words = f"Rows: {', '.join(rows)}. Columns: {', '.join(map(str, columns))} bits."
    tf.summary.image(f"probabilities/{tensor}", np.clip(cells, 0, 1)[None, :, :, None], description=words)
