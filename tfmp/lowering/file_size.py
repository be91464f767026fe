"""How large a TFLite file becomes."""

from collections.abc import Hashable, Sequence

from tfmp.graph.runtime_limits import BUFFER_ALIGNMENT

_WORD = 4


class FileSize:
    """Adds up the bytes of a TFLite file part by part, as its writer lays them out.

    What is equal stands in the file once: texts, shapes, contents, quantizations, zero points, options. It is counted
    where it first comes up.

    Attributes:
        own_bytes: Of what every part has for itself.
        shared_bytes: Of what stands once.
    """

    def __init__(self) -> None:
        self.own_bytes = self.shared_bytes = 0
        self._seen: set[Hashable] = set()

    @property
    def total_bytes(self) -> int:
        """Of everything so far."""
        return self.own_bytes + self.shared_bytes

    def once(self, key: Hashable, num_bytes: int) -> None:
        """Counts something that stands once, whoever points to it."""
        if self.is_new(key):
            self.shared_bytes += num_bytes

    def is_new(self, key: Hashable) -> bool:
        """True the first time that something comes up."""
        new = key not in self._seen
        self._seen.add(key)
        return new

    def tensor(self, name: str, shape: Sequence[int | str | None], *, grid: Hashable = None) -> None:
        """A tensor that an operator computes; `grid` is equal for those of equal scale and zero point, None for floats.

        A table of five fields, its place among the tensors, its name and its sizes.
        """
        self.own_bytes += _WORD + (4 if grid is None else 5) * _WORD
        self._name_and_shape(name, shape)
        if grid is not None:
            self.once(("grid", grid), 3 * _WORD + 2 * _WORD)

    def constant(self, name: str, shape: Sequence[int], *, scales: int = 0) -> None:
        """A tensor with content, but for the content; with a scale and a zero point for each of `scales`."""
        self.own_bytes += _WORD + 6 * _WORD
        self._name_and_shape(name, shape)
        if scales:
            self.own_bytes += 4 * _WORD + _WORD * scales
            self.once(("zero points", scales), 2 * _WORD + 8 * scales)

    def content(self, content: Hashable, num_bytes: int) -> None:
        """What a constant holds; `content` is equal for equal bytes."""
        self.once(("content", content), content_bytes(num_bytes))

    def argument(self, content: Hashable, num_bytes: int) -> None:
        """A nameless constant that says what operators do, one for all that want the same."""
        self.once(("argument", content), 7 * _WORD + content_bytes(num_bytes))

    def operator(self, kind: str, num_inputs: int, *, plain: bool = False) -> None:
        """An operator of one output; `plain` if it has no options."""
        inputs = _WORD + _WORD * num_inputs if num_inputs > 1 else 0  # a single one is what the operator before wrote
        self.own_bytes += _WORD + (4 if plain else 6) * _WORD + inputs + 2 * _WORD
        self.once(("code", kind), 5 * _WORD)
        if not plain:
            self.once(("options", kind), 4 * _WORD)

    def text(self, text: str) -> None:
        """A string: its length, its characters and a zero, in whole words."""
        self.once(("text", text), _WORD + (len(text.encode()) // _WORD + 1) * _WORD)

    def _name_and_shape(self, name: str, shape: Sequence[int | str | None]) -> None:
        self.text(name)
        self.once(("shape", *shape), _WORD + _WORD * len(shape))


def content_bytes(num_bytes: int) -> int:
    """The content of a constant, which starts at a multiple of 16 bytes, with its length and place."""
    return _WORD + -(-(num_bytes + 3 * _WORD) // BUFFER_ALIGNMENT) * BUFFER_ALIGNMENT
