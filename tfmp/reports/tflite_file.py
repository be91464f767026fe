"""Tensors and layers of a TFLite file."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

WEIGHTS, BIASES, OTHER = "weights", "biases", "other constants"
_LABELS_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class FileTensor:
    """A tensor that a file computes or takes.

    Args:
        shape: Sizes, the fixed batch first.
        dtype: NumPy name of what it stores.
        scale: Step between neighbouring values; None for floating point.
        zero_point: The stored integer of the value 0; None for floating point.
    """

    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None

    @property
    def in_words(self) -> str:
        """Returns how its numbers are stored, `"uint8: value = (code - 0) * 0.0039"` for example."""
        if self.scale is None or self.zero_point is None:
            return self.dtype
        sign = "-" if self.zero_point >= 0 else "+"
        return f"{self.dtype}: value = (code {sign} {abs(self.zero_point)}) * {self.scale:.9g}"

    def stored(self, values: np.ndarray) -> np.ndarray:
        """Returns numbers in the stored type of the file."""
        if self.scale is None or self.zero_point is None:
            return np.asarray(values, self.dtype)
        limits = np.iinfo(self.dtype)
        codes = np.rint(np.asarray(values, np.float32) * (np.float32(1) / np.float32(self.scale)))
        return np.clip(codes + self.zero_point, limits.min, limits.max).astype(self.dtype)

    def values(self, stored: np.ndarray) -> np.ndarray:
        """Returns the numbers of stored values."""
        if self.scale is None or self.zero_point is None:
            return stored
        return (stored.astype(np.float32) - self.zero_point) * np.float32(self.scale)


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """A constant in a file.

    Args:
        name: Its name.
        role: `"weights"`, `"biases"` or `"other constants"`.
        type: Its type in the schema, `"INT4"` for example.
        shape: Sizes.
        size_bytes: Bytes of its content; 0 if an earlier tensor has the same content.
        scale_bytes: Bytes of its scales and zero points, without those that an earlier tensor has.
    """

    name: str
    role: str
    type: str
    shape: tuple[int, ...]
    size_bytes: int
    scale_bytes: int

    @property
    def operator(self) -> str:
        """Name of the operator that reads it."""
        return self.name.rpartition("/")[0] or self.name


@dataclasses.dataclass(frozen=True)
class FileLayer:
    """A layer with constants in a file.

    Args:
        name: Its name in the user's model.
        bits: Weight and activation bits; None for a layer that is not quantized.
        container: Type that holds its weights, the widest if there are several; empty without weights.
        size_bytes: Bytes of its constants, including scales.
    """

    name: str
    bits: tuple[int, int] | None
    container: str
    size_bytes: int

    @property
    def in_words(self) -> str:
        """Returns bits and container, `"W5 A4, weights as INT8"` for example."""
        bits = f"W{self.bits[0]} A{self.bits[1]}" if self.bits else "not quantized"
        return f"{bits}, weights as {self.container}" if self.container else bits


@dataclasses.dataclass(frozen=True)
class FileOperator:
    """An operator of a file.

    Args:
        tensor: Name of its first output in the file.
        computes: Name of the tensor of the folded model of which this is the result, or a step to it.
        kind: Its name in the schema, `"CONV_2D"` for example.
        layer: Layer of the user's model whose weights it reads; empty if none.
        size_bytes: Bytes of the constants that it reads, with scales, without those that an earlier operator has.
    """

    tensor: str
    computes: str
    kind: str
    layer: str
    size_bytes: int


@dataclasses.dataclass(frozen=True)
class TFLiteFile:
    """Contents of a file of `tfmp.export_tflite`, read without its model; `str` prints them.

    Args:
        path: Path of the file.
        name: Name of the model.
        size_bytes: Size of the whole file.
        mode: How its weights are stored: the argument of `tfmp.export_tflite`.
        version: Version of tfmp that wrote it.
        inputs: Inputs by name.
        outputs: Outputs by name.
        layers: Layers with constants, in the order in which they run.
        tensors: Constants, the largest first.
        metadata_bytes: Bytes of the metadata.
        labels: Names of the classes, empty if not given.
        target: The runtime that it was written for: the argument of `tfmp.export_tflite`.
        arena_bytes: Bytes of memory that the runtime of microcontrollers uses here; None for other files.
        float_layers: Names of the layers that run in floating point between integer ones.
        operators: Operators in the order in which they run.
    """

    path: str
    name: str
    size_bytes: int
    mode: str
    version: str
    inputs: Mapping[str, FileTensor]
    outputs: Mapping[str, FileTensor]
    layers: Sequence[FileLayer]
    tensors: Sequence[StoredTensor]
    metadata_bytes: int
    labels: Sequence[str] = ()
    target: str = "litert"
    arena_bytes: int | None = None
    float_layers: Sequence[str] = ()
    operators: Sequence[FileOperator] = ()

    @property
    def bits(self) -> dict[str, tuple[int, int]]:
        """Layer name to `(weight_bits, activation_bits)`."""
        return {layer.name: layer.bits for layer in self.layers if layer.bits}

    @property
    def bytes_by_role(self) -> dict[str, int]:
        """Bytes by role, `"weights"` for example; their sum is the size of the file."""
        sizes = dict.fromkeys((WEIGHTS, BIASES, OTHER), 0)
        for tensor in self.tensors:
            sizes[tensor.role] += tensor.size_bytes
        sizes["scales"] = sum(tensor.scale_bytes for tensor in self.tensors)
        sizes["metadata"] = self.metadata_bytes
        return {**sizes, "structure": self.size_bytes - sum(sizes.values())}

    @property
    def summary(self) -> str:
        """Returns a line about the file, a line with its largest roles, and a line with layers in floating point."""
        parts = ", ".join(f"{role} {size:,}" for role, size in self.bytes_by_role.items() if size)
        arena = "" if self.arena_bytes is None else f", target {self.target}, arena {self.arena_bytes:,} bytes"
        text = f"{self.path}: {self.size_bytes:,} bytes, mode {self.mode}{arena}\n  bytes: {parts}"
        if not self.float_layers:
            return text
        return f"{text}\n  in floating point, {self.float_bytes:,} bytes: {', '.join(self.float_layers)}"

    @property
    def float_bytes(self) -> int:
        """Bytes of the constants of the layers in floating point."""
        return sum(layer.size_bytes for layer in self.layers if layer.name in self.float_layers)

    def __str__(self) -> str:
        lines = [f"{self.summary}\n  model {self.name}, written by tfmp {self.version}"]
        for title, tensors in (("input", self.inputs), ("output", self.outputs)):
            lines += [f"  {title} {name}: {list(tensor.shape)} {tensor.in_words}" for name, tensor in tensors.items()]
        if self.labels:
            shown = [*self.labels[:_LABELS_SHOWN], *["..."] * (len(self.labels) > _LABELS_SHOWN)]
            lines.append(f"  {len(self.labels)} labels: {', '.join(shown)}")
        width = max([len(layer.name) for layer in self.layers] + [len("layer")])
        lines.append(f"  {'layer':<{width}}  {'bytes':>12}")
        lines += [f"  {layer.name:<{width}}  {layer.size_bytes:>12,}  {layer.in_words}" for layer in self.layers]
        return "\n".join(lines)
