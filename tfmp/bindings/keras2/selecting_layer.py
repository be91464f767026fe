"""Base classes of the searchable layers of tf_keras."""

from typing import Any

import tensorflow as tf
import tf_keras

from tfmp.annotations import KerasLayer, KerasMixin
from tfmp.mixins.bit_selector import BitSelectorMixin
from tfmp.mixins.integer_operation_layer import IntegerOperationMixin
from tfmp.mixins.mixed_precision import CandidateKernelsMixin
from tfmp.mixins.quantize_layer import QuantizeMixin
from tfmp.mixins.selection_cost import SelectionCostMixin

register = tf_keras.saving.register_keras_serializable(package="tfmp")


class _FullPrecision(KerasMixin):
    def add_weight(self, *arguments: Any, **options: Any) -> Any:
        """Adds a variable that mixed-precision policies do not cast; if replicas assign it, their mean counts."""
        options = {"aggregation": tf.VariableAggregation.MEAN, **options, "autocast": False}
        return super().add_weight(*arguments, **options)


class _Child(_FullPrecision):
    """Prefixes its variables with its name, which tf_keras does only for layers that are built by a call."""

    def build(self, *arguments):
        with tf.name_scope(self.name):
            super().build(*arguments)

    def add_statistic(self, *, name, shape, initializer):
        """Adds a variable for statistics, without a gradient; replicas average it."""
        return self.add_weight(name=name, shape=shape, initializer=initializer, trainable=False)


class SelectingLayer(_FullPrecision):
    """Base of the searchable layers; freezing one freezes its weights, not the search for their bits."""

    @property
    def trainable_weights(self) -> list[Any]:
        return super().trainable_weights if self.trainable else self._searching()

    @property
    def non_trainable_weights(self) -> list[Any]:
        searching = () if self.trainable else self._searching()
        return [weight for weight in super().non_trainable_weights if not any(weight is w for w in searching)]

    def _searching(self):
        selectors = [getattr(self, name, None) for name in ("weight_selector", "activation_selector")]
        searching = [selector for selector in selectors if selector is not None and len(selector.bits) > 1]
        return [variable for selector in searching for variable in selector.variables if variable.trainable]

    def make_selector(self, bits: Any, **arguments: Any) -> KerasLayer:
        return BitSelector(bits, dtype="float32", **arguments)

    def make_candidate_kernels(self, bits: Any, **arguments: Any) -> KerasLayer:
        return CandidateKernels(bits, **arguments)

    def make_selection_cost(self, *sizes: int, **arguments: Any) -> KerasLayer:
        return SelectionCost(*sizes, dtype="float32", **arguments)


@register
class BitSelector(_Child, BitSelectorMixin, tf_keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = BitSelectorMixin.__doc__


@register
class CandidateKernels(_Child, CandidateKernelsMixin, tf_keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = CandidateKernelsMixin.__doc__


@register
class SelectionCost(_Child, SelectionCostMixin, tf_keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = SelectionCostMixin.__doc__


@register
class IntegerOperation(IntegerOperationMixin, tf_keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = IntegerOperationMixin.__doc__

    @tf.autograph.experimental.do_not_convert  # AutoGraph does not support the `match` statement, and warns
    def _compute(self, tensors):
        return super()._compute(tensors)


@register
class Quantize(SelectingLayer, QuantizeMixin, tf_keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = QuantizeMixin.__doc__
