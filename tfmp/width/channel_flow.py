"""Finds which channels of a network must have equal counts."""

from collections.abc import Container, Sequence

from tfmp.graph import Graph, Layer
from tfmp.operators import TABLE
from tfmp.width.channel_counts import ChannelCounts, Count

_WITH_KERNELS = ("filters", "depthwise")
# Layers of no known kind whose weights follow their input, without a size in the configuration.
_FOLLOWERS = ("LayerNormalization", "GroupNormalization", "RMSNormalization")


class ChannelFlow:
    """Follows the channels of a graph from the layers that create them to those that read them.

    Args:
        graph: The model.
        kept: Names of layers whose outputs keep their channels.

    Attributes:
        counts: The unknowns, a `ChannelCounts`.
        axes: Tensor name to the size of each axis, whole numbers or counts.
        made: Name of each layer with filters, units or embeddings to the count of its output channels.
        read: Name of each layer with a kernel to the count of its input channels.
        groups: Name of each layer with one group per input channel to their count.

    Raises:
        ValueError: If the effect of a layer on channels is unknown, or impossible at other widths; the message names
            it.
    """

    def __init__(self, graph: Graph, kept: Container[str]):
        self.graph, self.counts = graph, ChannelCounts()
        self.axes: dict[str, Sequence[Count]] = {}
        self.made: dict[str, Count] = {}
        self.read: dict[str, Count] = {}
        self.groups: dict[str, Count] = {}
        for call in graph.calls:
            layer = graph.layer_of(call)
            try:
                outputs = self._outputs(layer, call, kept)
            except ValueError as error:
                raise ValueError(
                    f"Layer `{layer.name}` ({layer.origin.class_name}) cannot get other channels: {error}. Name "
                    "it, or the layers before it, in `keep`: their outputs then keep their channels."
                ) from error
            for name, axes in zip(call.outputs, outputs, strict=True):
                for count in axes if layer.name in kept else ():
                    self.counts.keep(count)
                self.axes[name] = graph.tensors[name].shape if layer.name in kept else axes
        for name in graph.output_names:
            for count in self.axes[name]:
                self.counts.keep(count)

    def shape(self, tensor: str, multiplier: float) -> tuple[int | None, ...]:
        """Returns the shape of a tensor in the scaled network."""
        return tuple(self.counts.value(count, multiplier) for count in self.axes[tensor])

    def _outputs(self, layer, call, kept):
        original = [self.graph.tensors[name].shape for name in call.outputs]
        inputs = [self.axes[name] for name in call.inputs]
        scaled = any(isinstance(count, tuple) for axes in inputs for count in axes)
        rule = self._rule(layer)
        if rule is not None and (scaled or has_kernel(layer) or rule == self._embedded):
            return [rule(layer, inputs, original[0])]
        if layer.origin.class_name in TABLE["attention"].classes and layer.name not in kept:
            raise ValueError("its heads have their own width, `key_dim`, which does not follow its input")
        adapted = layer.kind == "normalization"
        if not scaled and (rule is not None or adapted or not layer.num_parameters or layer.name in kept):
            return original
        if scaled and len(original) == 1 and all(self.graph.tensors[name].shape == original[0] for name in call.inputs):
            return [
                self._merged(layer, inputs, original[0])
            ]  # a layer that changes no size is assumed to work channel by channel
        if layer.name in kept:
            return original
        reason = layer.attributes.get("left_because")
        raise ValueError("its effect on channels is unknown" + (f" ({reason})" if reason else ""))

    def _rule(self, layer):
        if follows_input(layer):
            return self._normalized
        if layer.origin.class_name == "Embedding":
            return self._embedded
        return {
            "filters": self._filtered,
            "depthwise": self._depthwise,
            "windowed": self._windowed,
            "pooled": self._pooled,
            "merged": self._merged,
            "affine": self._affine,
            "concatenated": self._concatenated,
            "reshaped": self._reshaped,
            "permuted": self._permuted,
            "repeated": self._repeated,
        }.get(_channels(layer))

    def _filtered(self, layer, inputs, original):
        """Handles convolutions and dense layers, which have a free number of filters."""
        axis = _channel_axis(layer)
        source = self._reads(layer, inputs[0], axis)
        groups = layer.attributes.get("groups", 1)
        if groups > 1 and groups == self.counts.original(source) and isinstance(source, tuple):
            self.groups[layer.name] = source
            channels = self.made.setdefault(layer.name, self.counts.times(source, original[axis] // groups))
        else:
            channels = self.made.setdefault(layer.name, self.counts.new(original[axis]))
            for count in (source, channels) if groups > 1 else ():
                if isinstance(count, tuple):
                    self.counts.require_multiple(count, groups)
        return self._with(original, axis, channels)

    def _embedded(self, layer, inputs, original):
        return self._with(original, -1, self.made.setdefault(layer.name, self.counts.new(original[-1])))

    def _depthwise(self, layer, inputs, original):
        axis = _channel_axis(layer)
        source = self._reads(layer, inputs[0], axis)
        return self._with(original, axis, self.counts.times(source, layer.attributes["depth_multiplier"]))

    def _reads(self, layer, axes, axis):
        """Records the channels that a kernel reads, one count for all calls of its layer."""
        self._check_only(axes, axis)
        first = self.read.setdefault(layer.name, axes[axis])
        if first is not axes[axis]:
            self.counts.tie(first, axes[axis])
        return axes[axis]

    def _windowed(self, layer, inputs, original):
        axis = _channel_axis(layer)
        self._check_only(inputs[0], axis)
        return self._with(original, axis, inputs[0][axis])

    def _pooled(self, layer, inputs, original):
        axis = _channel_axis(layer)
        self._check_only(inputs[0], axis)
        return self._with(original, axis if len(original) == len(inputs[0]) else -1, inputs[0][axis])

    def _normalized(self, layer, inputs, original):
        axis = layer.origin.config.get("axis", -1)
        groups = layer.origin.config.get("groups", 1)
        for position in [axis] if isinstance(axis, int) else axis:
            first = self.read.setdefault(f"{layer.name}:{position}", inputs[0][position])
            self.counts.tie(first, inputs[0][position])
            if groups > 1 and isinstance(first, tuple):
                if groups == self.counts.original(first):
                    self.groups[layer.name] = first
                else:
                    self.counts.require_multiple(first, groups)
        return inputs[0]

    def _merged(self, layer, inputs, original):
        """Handles elementwise layers; an axis of size 1 is broadcast."""
        merged = []
        for back in range(len(original), 0, -1):
            present = [axes[-back] for axes in inputs if len(axes) >= back]
            full = [count for count in present if self.counts.original(count) == original[-back]]
            for count in present:
                if self.counts.original(count) != original[-back]:
                    self.counts.keep(count)
            for count in full[1:]:
                self.counts.tie(full[0], count)
            merged.append(full[0] if full else original[-back])
        return tuple(merged)

    def _affine(self, layer, inputs, original):
        constants = [layer.attributes[name] for name in ("factor", "offset")]
        if any(getattr(constant, "size", 1) > 1 or isinstance(constant, list | tuple) for constant in constants):
            self.counts.keep(inputs[0][-1])  # one constant per channel
        return inputs[0]

    def _concatenated(self, layer, inputs, original):
        axis = layer.attributes.get("axis", -1) % len(original)
        joined = list(
            self._merged(layer, [(*axes[:axis], *axes[axis + 1 :]) for axes in inputs], _without(original, axis))
        )
        count = inputs[0][axis]
        for axes in inputs[1:]:
            count = self.counts.plus(count, axes[axis])
        return (*joined[:axis], count, *joined[axis:])

    def _permuted(self, layer, inputs, original):
        return tuple(inputs[0][axis] for axis in layer.attributes["permutation"])

    def _repeated(self, layer, inputs, original):
        return (original[0], original[1], inputs[0][-1])

    def _reshaped(self, layer, inputs, original):
        """Handles reshapes: axes of equal size at both ends stay, and one axis between them gets the channels."""
        source, old = list(inputs[0]), [self.counts.original(count) for count in inputs[0]]
        start = end = 0
        while start < min(len(old), len(original)) and old[start] == original[start]:
            start += 1
        while end < min(len(old), len(original)) - start and old[-1 - end] == original[-1 - end]:
            end += 1
        inner, shape = source[start : len(source) - end], list(original[start : len(original) - end])
        scaled = [count for count in inner if isinstance(count, tuple)]
        if scaled:
            if len(scaled) > 1 or None in (*inner, *shape):
                raise ValueError(f"it reshapes {tuple(old)} to {original}, where channels have no separate axis")
            self._place(shape, scaled[0])
        return (*source[:start], *shape, *source[len(source) - end :])

    def _place(self, shape, count):
        """Assigns a count to the last new axis that is a multiple or a divisor of it."""
        size = self.counts.original(count)
        for position in range(len(shape) - 1, -1, -1):
            if shape[position] % size == 0:
                shape[position] = self.counts.times(count, shape[position] // size)
                return
            if size % shape[position] == 0 and shape[position] > 1:
                shape[position] = self.counts.divided(count, size // shape[position])
                return
        raise ValueError(f"no axis of {tuple(shape)} can have its {size} channels")

    def _with(self, original, axis, count):
        axes = list(original)
        axes[axis] = count
        return tuple(axes)

    def _check_only(self, axes, axis):
        """Raises `ValueError` if an axis other than the channel axis changes."""
        axis %= len(axes)
        if any(isinstance(count, tuple) for position, count in enumerate(axes) if position != axis):
            raise ValueError("channels would change the size of an axis that it does not treat as channels")


def follows_input(layer: Layer) -> bool:
    """True for a layer whose weights follow its input, without a size in the configuration."""
    name = layer.origin.class_name
    known = (name in operator.classes for operator in TABLE.values() if operator.channels == "followed")
    return name in _FOLLOWERS or any(known)


def has_kernel(layer: Layer) -> bool:
    """True for a layer with a kernel, separable convolutions among them."""
    return _channels(layer) in _WITH_KERNELS


def _channels(layer):
    return TABLE[layer.kind].channels if layer.kind in TABLE else ""


def _channel_axis(layer):
    return 1 if layer.attributes.get("data_format") == "channels_first" else -1


def _without(shape, axis):
    return (*shape[:axis], *shape[axis + 1 :])
