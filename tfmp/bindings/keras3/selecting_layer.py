"""Base classes of the searchable layers of Keras 3."""

import threading
from typing import Any

import keras

from tfmp.annotations import KerasLayer, KerasMixin
from tfmp.mixins.bit_selector import BitSelectorMixin
from tfmp.mixins.integer_operation_layer import IntegerOperationMixin
from tfmp.mixins.mixed_precision import CandidateKernelsMixin
from tfmp.mixins.selection_cost import SelectionCostMixin

register = keras.saving.register_keras_serializable(package="tfmp")


class _FullPrecision(KerasMixin):
    def add_weight(self, *arguments: Any, **options: Any) -> Any:
        """Adds a variable that mixed-precision policies do not cast, because codes are only exact in float32."""
        return super().add_weight(*arguments, **{**options, "autocast": False})


class Statistics(_FullPrecision):
    """Base of layers with statistics, which replicas average."""

    def add_weight(self, *arguments: Any, **options: Any) -> Any:
        """Adds a variable; if replicas assign it, their mean counts, so that they cannot drift apart."""
        return super().add_weight(*arguments, **{"aggregation": "mean", **options})

    def add_statistic(self, *, name, shape, initializer):
        """Adds a variable for statistics, without a gradient."""
        return self.add_weight(name=name, shape=shape, initializer=initializer, trainable=False)


class SelectingLayer(_FullPrecision):
    """Base of the searchable layers; creates the child layers that choose their bits."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        for name in ("weight_selector", "activation_selector", "candidate_kernels"):
            child = getattr(self, name, None)
            if child is not None:  # if a configuration froze this layer, Keras does not freeze the layers inside
                child.trainable = self.trainable

    def make_selector(self, bits: Any, **arguments: Any) -> KerasLayer:
        return BitSelector(bits, dtype="float32", **arguments)

    def make_candidate_kernels(self, bits: Any, **arguments: Any) -> KerasLayer:
        return CandidateKernels(bits, **arguments)

    def make_selection_cost(self, *sizes: int, **arguments: Any) -> KerasLayer:
        return SelectionCost(*sizes, dtype="float32", **arguments)


@register
class BitSelector(Statistics, BitSelectorMixin, keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = BitSelectorMixin.__doc__

    @property
    def trainable(self):
        """True if bits are open: freezing a layer freezes its weights, not the search for their bits."""
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        keras.layers.Layer.trainable.fset(self, value or len(self.quantizers) > 1)


@register
class CandidateKernels(_FullPrecision, CandidateKernelsMixin, keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = CandidateKernelsMixin.__doc__


class _Penalties(threading.local):
    """One list for each thread, because the replicas of a distribution strategy are threads."""

    def __init__(self):
        self.of_this_thread = []


@register
class SelectionCost(Statistics, SelectionCostMixin, keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = SelectionCostMixin.__doc__

    # Keras collects the losses of `add_loss` in one list, in which a replica finds losses of the others too, or misses
    # its own once another has cleared it. No public method tells a layer when the list is read or cleared.
    @property
    def _losses(self):
        return self._penalties.of_this_thread

    @_losses.setter
    def _losses(self, losses):
        self._penalties = _Penalties()


@register
class IntegerOperation(IntegerOperationMixin, keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = IntegerOperationMixin.__doc__

    def compute_output_spec(self, *_):
        """Returns the output, whose dtype is not that of the layer."""
        return keras.KerasTensor(self.fixed_output_shape, dtype=self.output_dtype)
