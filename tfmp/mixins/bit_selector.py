"""Quantizes one tensor by a relaxed choice among bit-widths."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from tfmp import quantizers
from tfmp.annotations import KerasMixin, Tensor
from tfmp.graph import Candidates, CodeFormat
from tfmp.mixins.bit_logits import BitLogits
from tfmp.relaxation import mixture, quantized, relative_variance
from tfmp.search.search_settings import check_bits

_CHOICE = ("logits", "temperature", "sampling_step", "mixture_variance")  # variables that do not belong to a quantizer


class BitSelectorMixin(KerasMixin):
    """Quantizes one tensor by a relaxed choice among bit-widths.

    Several candidates are mixed by `tfmp.relaxation.relaxed_choice`, for one shared tensor or a tuple with one tensor
    per candidate. A single candidate is plain quantization, without logits.

    Args:
        bits: Candidates, integers within the quantizer's range.
        quantizer: Name of the quantizer family.
        signed: False for tensors that cannot be negative.
        channel_axes: Negative axes of the output channels if the tensor is a kernel, None if it is an activation.
        relaxation: `"softmax"`, `"annealed"` or `"gumbel"`.
        shared_range: If True, the candidates share one learned range in fixed ratios; if False, each learns its own,
            with which the mixture can act as one quantizer of higher precision.
        seed: Integer, for Gumbel noise.

    Attributes:
        bits: The candidates, in increasing order.
        choice: The `BitLogits` among them.
        logits, temperature, sampling_step: Its variables.
        mixture_variance: Scalar variable, activations only: relative variance of the mixture on one sample of the last
            training batch.
    """

    def __init__(
        self,
        bits,
        *,
        quantizer="lsq",
        signed=True,
        channel_axes=None,
        relaxation="softmax",
        shared_range=True,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.quantizers = check_bits(bits, "bits", quantizer, signed)
        self.choice = BitLogits(len(self.quantizers), relaxation=relaxation, seed=seed)
        self.quantizer = quantizers.name_of(quantizer)
        self.signed = signed
        self.channel_axes = None if channel_axes is None else tuple(channel_axes)
        self.relaxation = relaxation
        self.shared_range = shared_range
        self.seed = seed
        self._start_values, self._shares_choice = None, False
        self.mixture_variance = None

    @property
    def logits(self) -> Tensor:
        return self.choice.logits

    @property
    def temperature(self) -> Tensor:
        return self.choice.temperature

    @property
    def sampling_step(self) -> Tensor:
        return self.choice.sampling_step

    @property
    def bits(self) -> tuple[int, ...]:
        return tuple(candidate.bits for candidate in self.quantizers)

    @property
    def formats(self) -> tuple[CodeFormat, ...]:
        """The codes of each candidate, as `tfmp.graph.CodeFormat`."""
        return tuple(candidate.format for candidate in self.quantizers)

    def start_from(self, values: Callable[[], Any]) -> None:
        """Sets, before `build`, a function that returns the kernel from which the ranges are initialized."""
        self._start_values = values

    def share_choice(self, selector: Any) -> None:
        """Shares, before `build`, the choice of another selector, which is built earlier."""
        self.choice, self._shares_choice = selector.choice, True

    def build(self, input_shape: Any) -> None:
        self._kernel_shape = None if self.channel_axes is None else tuple(input_shape)
        if self.choice.is_open and self.channel_axes is None:
            self.mixture_variance = self.add_statistic(name="mixture_variance", shape=(), initializer="zeros")
        self.choice.build(self)
        if self.shared_range or len(self.quantizers) == 1:
            self._states = [self._build_state(self.quantizers[-1], "")] * len(self.quantizers)
        else:
            self._states = [self._build_state(q, f"_{q.bits}_bits") for q in self.quantizers]
        self.built = True

    def _build_state(self, quantizer, suffix):
        def add_weight(*, name: Any, shape: Any, initializer: Any, trainable: Any) -> Any:
            def start(shape, dtype=tf.float32, **_):
                fitted = tf.numpy_function(
                    lambda values: np.float32(self._fitted(quantizer, values)[name]), [self._start_values()], tf.float32
                )
                return tf.ensure_shape(tf.cast(fitted, dtype), shape)

            add = self.add_weight if trainable else self.add_statistic
            chosen = initializer if self._start_values is None else start
            return add(name=name + suffix, shape=shape, initializer=chosen)

        return quantizer.build(add_weight, channel_axes=self.channel_axes, shape=self._kernel_shape)

    def _fitted(self, quantizer, values):
        fit = quantizer.initial_state if len(self.quantizers) == 1 else quantizer.fitted_state
        return fit(values, channel_axes=self.channel_axes)

    def call(self, inputs: Tensor, training: bool | None = None, separate: bool = False) -> Any:
        """Returns the mixture of the candidates or, if `separate`, a tuple of all candidates."""
        if training and self.channel_axes is None:
            for candidate, state in self._distinct_states():
                candidate.observe(inputs, state)
            if self.mixture_variance is not None:
                self.mixture_variance.assign(tf.stop_gradient(self.relative_variance(inputs[:1])))
        options = {"shared": self.shared_range, "channel_axes": self.channel_axes}
        if separate:
            return quantized(inputs, self.quantizers, self._states, **options)
        return mixture(inputs, self.quantizers, self._states, self.choice.weights(training), **options)

    def _distinct_states(self):
        """Returns each state once, with the quantizer that built it."""
        pairs = list(zip(self.quantizers, self._states, strict=True))
        return pairs[-1:] if self.shared_range else pairs

    def probabilities(self) -> Tensor:
        """Returns the probability of each candidate, `[len(bits)]`, at the current temperature if annealed."""
        return self.choice.probabilities()

    def expected_bits(self) -> Tensor:
        """Returns the mean of `bits` under `probabilities()`, a scalar tensor (EdMIPS, eq. 13)."""
        return tf.tensordot(self.probabilities(), tf.constant(self.bits, tf.float32), axes=1)

    def relative_variance(self, inputs: Tensor) -> Tensor:
        """Returns the relative variance of the candidates on a tensor; see `tfmp.relaxation.relative_variance`."""
        return relative_variance(
            inputs,
            self.quantizers,
            self._states,
            self.probabilities(),
            shared=self.shared_range,
            channel_axes=self.channel_axes,
        )

    def candidates(self, *, arrays: bool = True) -> Candidates:
        """Returns the candidates with their current probabilities and, if `arrays`, their learned state."""
        probabilities = tuple(float(p) for p in np.asarray(self.probabilities()))
        if not arrays:
            return Candidates.of(self.quantizers, probabilities)
        states = tuple(
            {name: variable.numpy() for name, variable in state.items()} for _, state in self._distinct_states()
        )
        choice = {name: variable.numpy() for name, variable in self._choice_variables().items()}
        return Candidates.of(self.quantizers, probabilities, states=states, choice=choice)

    def load(self, candidates: Candidates) -> None:
        """Loads the learned state of candidates, as `candidates` returns it; missing arrays keep their values.

        Raises:
            ValueError: If they have state that these quantizers do not have.
        """
        states = [state for _, state in self._distinct_states()]
        pairs = [*zip(states, candidates.states, strict=True)] if candidates.states else []
        for variables, values in [*pairs, (self._choice_variables(), candidates.choice)]:
            for name, value in values.items():
                if name not in variables:
                    raise ValueError(
                        f"Quantizer `{self.quantizer}` must have {', '.join(variables) or 'no state'}. Received: "
                        f"`{name}`, of another quantizer or relaxation."
                    )
                variables[name].assign(value)

    def _choice_variables(self):
        names = ("mixture_variance",) if self._shares_choice else _CHOICE
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def calibrate(self, values: ArrayLike, *, least_squares: bool = False) -> None:
        """Sets the state of the quantizers from data: a kernel, or a sample of the activations, as a NumPy array.

        Args:
            values: The data.
            least_squares: True for the state with the least squared error, for networks that are not trained further;
                False for the state from which training starts.
        """
        values = np.asarray(values, np.float32)
        for candidate, state in self._distinct_states():
            if least_squares:
                fitted = candidate.least_squares_state(values, channel_axes=self.channel_axes)
            else:
                fitted = self._fitted(candidate, values)
            for name, value in fitted.items():
                state[name].assign(value)
            if "seen" in state:
                state["seen"].assign(1.0)

    @property
    def is_calibrated(self) -> bool:
        """False if neither data nor training has set the range of an activation."""
        return all(float(tf.convert_to_tensor(state["seen"])) > 0 for state in self._states if "seen" in state)

    def codes(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Returns `(integers, scale)` of a tensor under the single candidate; see `Quantizer.codes`.

        Raises:
            ValueError: If the bits are still open.
        """
        if len(self.quantizers) > 1:
            raise ValueError(
                f"Selector `{self.name}` has {len(self.quantizers)} candidates, {self.bits}: its tensor has codes only "
                "once the bits are fixed. Call `tfmp.fix` first."
            )
        return self.quantizers[0].codes(inputs, self._states[0], channel_axes=self.channel_axes)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Loads the variables; the one step of a kernel that version 0.1.0 saved becomes the step of every channel."""
        current: dict[str, Any] = {}
        self.save_own_variables(current)
        shapes = {name: np.shape(value) for name, value in current.items()}
        values = {name: np.asarray(store[name]) for name in store.keys()}  # noqa: SIM118 (a store of Keras is no mapping)
        super().load_own_variables(
            {
                name: np.broadcast_to(value, shapes.get(name, ())) if value.ndim == 0 else value
                for name, value in values.items()
            }
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "bits": self.bits,
            "quantizer": self.quantizer,
            "signed": self.signed,
            "channel_axes": self.channel_axes,
            "relaxation": self.relaxation,
            "shared_range": self.shared_range,
            "seed": self.seed,
        }
