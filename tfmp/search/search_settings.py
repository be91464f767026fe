"""Settings of a search for bits."""

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tfmp import quantizers
from tfmp.checks import check_flag, check_integer, check_integers
from tfmp.quantizers import Quantizer, QuantizerLike
from tfmp.relaxation import check_relaxation


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """The settings of the search for the bits of a layer; with one candidate per tensor, of its quantization.

    `tfmp.relax`, the `MixedPrecision*` layers and the classes of `tfmp.tfmot` take these as keywords.

    Args:
        weight_bits: Candidates for the kernel, an integer or several; None leaves it in floating point.
        activation_bits: Candidates for the layer's input; None leaves it in floating point.
        quantizer: A quantizer, or a pair (weights, activations): a name of `tfmp.quantizers.names()`, with options if
            it has any, such as `"lsq(granularity='tensor')"`; a subclass of `tfmp.quantizers.Quantizer`; or an
            instance, whose bits and sign do not count.
        signed_input: True if the input can be negative. False if it cannot, as after a ReLU: it is clipped at 0. None
            derives it from the model; a layer needs True or False.
        relaxation: `"softmax"` (EdMIPS), `"annealed"` or `"gumbel"`.
        shared_range: If True, the candidates of a tensor share one learned range; otherwise each learns its own.
        shared_weights: If True, the candidates quantize one kernel (EdMIPS, eq. 16); otherwise each has its own (eq.
            15), and `kernel` is that of the widest.
        coupled: If True, candidate i of the kernel is paired with candidate i of the input, in equal numbers: one
            vector of logits, and one convolution for each pair, sum_k p_k conv(A_k(x), W_k(kernel)).
        seed: Integer, for Gumbel noise.

    Raises:
        ValueError: If bits are empty, repeated or out of the quantizer's range, or coupled and not equally many, a name
            is unknown, or the activation quantizer cannot represent a signed input.

    Example:
        >>> SearchSettings(weight_bits=(4, 2), activation_bits=4).weight_bits
        (2, 4)

    Reference: EdMIPS, eq. 10 to 16, https://arxiv.org/abs/2004.05795
    """

    weight_bits: int | Sequence[int] | None = (1, 2, 3, 4)
    activation_bits: int | Sequence[int] | None = (2, 3, 4)
    quantizer: QuantizerLike | Sequence[QuantizerLike] = "lsq"
    signed_input: bool | None = False
    relaxation: str = "softmax"
    shared_range: bool = True
    shared_weights: bool = True
    coupled: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        weights, activations = quantizer_pair(self.quantizer)
        check_relaxation(self.relaxation)
        for name in ("shared_range", "shared_weights", "coupled"):
            check_flag(name, getattr(self, name))
        if self.signed_input is not None:
            check_flag("signed_input", self.signed_input)
        if self.signed_input and self.activation_bits is not None:
            if not quantizers.family(activations).takes_signed_input:
                raise ValueError(
                    f"Quantizer `{activations}` cannot represent an input that can be negative. Expected "
                    '`signed_input=False` with it; use "lsq" for such inputs.'
                )
        check_integer("seed", self.seed, at_least=0)
        if self.coupled:
            _check_coupled(self.weight_bits, self.activation_bits)
        weight_bits = _bits(self.weight_bits, "weight_bits", weights, True)
        activation_bits = _bits(self.activation_bits, "activation_bits", activations, bool(self.signed_input))
        given: Any = self.quantizer
        quantizer = tuple(map(quantizers.name_of, given)) if isinstance(given, list | tuple) else weights
        for name, value in (
            ("weight_bits", weight_bits),
            ("activation_bits", activation_bits),
            ("quantizer", quantizer),
        ):
            object.__setattr__(self, name, value)

    @property
    def quantizer_pair(self) -> tuple[str, str]:
        """Names of the quantizers of weights and activations."""
        return quantizer_pair(self.quantizer)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The settings, as the keywords that say them."""
        return tuple(field.name for field in dataclasses.fields(cls))

    def config(self) -> dict[str, Any]:
        """The settings by name, as configurations of layers hold them; `read_config` reads them."""
        return {**{name: getattr(self, name) for name in self.names()}, "quantizer": saved_quantizer(self.quantizer)}

    @classmethod
    def taken_from(cls, arguments: dict[str, Any]) -> tuple["SearchSettings", dict[str, Any]]:
        """Returns the settings among some keyword arguments, and the other arguments."""
        others = {name: value for name, value in arguments.items() if name not in cls.names()}
        return cls(**{name: value for name, value in arguments.items() if name not in others}), others


def shows_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Shows the settings in the signature of a function that takes them among its `**kwargs`."""
    signature = inspect.signature(function)
    *parameters, kwargs = signature.parameters.values()
    parameters += [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for field in dataclasses.fields(SearchSettings)
    ]
    function.__signature__ = signature.replace(parameters=[*parameters, kwargs])  # type: ignore[attr-defined]  # functions may have it
    return function


_NO_BREAK = "\0"


def document_settings(cls: type, *, omit: Sequence[str] = ()) -> None:
    """Replaces the entry `**settings` in the docstring of a class by the `Args` of `SearchSettings`, with defaults.

    Settings that the docstring describes itself keep their own entry.

    Args:
        cls: A class whose constructor takes settings as keywords.
        omit: Names of settings that it does not take.
    """
    text = inspect.cleandoc(vars(cls).get("__doc__") or "")
    if "\n    **settings: " not in text:
        return
    entries = []
    wrapper = textwrap.TextWrapper(
        116, initial_indent=" " * 4, subsequent_indent=" " * 8, break_long_words=False, break_on_hyphens=False
    )
    for field, meaning in zip(dataclasses.fields(SearchSettings), _meanings(), strict=True):
        if field.name not in omit and not re.search(rf"^    {field.name}: ", text, re.MULTILINE):
            default = f'"{field.default}"' if isinstance(field.default, str) else repr(field.default)
            entry = f"{field.name}: {meaning} Default: `{default.replace(' ', _NO_BREAK)}`."
            entries.append(wrapper.fill(entry).replace(_NO_BREAK, " "))
    cls.__doc__ = re.sub(r"^    \*\*settings: .*(\n {8}.*)*", lambda _: "\n".join(entries), text, flags=re.MULTILINE)


def _meanings() -> list[str]:
    """Returns what the docstring of `SearchSettings` says about each setting, in order."""
    described = inspect.cleandoc(SearchSettings.__doc__ or "").partition("Args:\n")[2].partition("\n\n")[0]
    return [" ".join(entry.partition(": ")[2].split()) for entry in re.split(r"\n(?=    \w)", described)]


def check_bits(bits: Any, name: str, quantizer: QuantizerLike, signed: bool) -> tuple[Quantizer, ...]:
    """Returns the candidates of a tensor as quantizers, in increasing bits.

    Raises:
        ValueError: If there are none, one occurs twice, or one is out of the quantizer's range.
    """
    where = f"Quantizer `{quantizers.name_of(quantizer)}`"
    low, high = quantizers.family(quantizer).min_bits, quantizers.MAX_BITS
    if isinstance(bits, Iterable) and not isinstance(bits, str):
        given = bits if isinstance(bits, list) else tuple(bits)
        candidates = check_integers(name, given, at_least=low, at_most=high, where=where)
    else:
        candidates = (check_integer(name, bits, at_least=low, at_most=high, where=where),)
    if len(set(candidates)) != len(candidates):
        raise ValueError(f"`{name}` must be different bit-widths. Received: {bits!r}")
    return tuple(quantizers.get(quantizer, bits=each, signed=signed) for each in sorted(candidates))


def saved_quantizer(quantizer: QuantizerLike | Sequence[QuantizerLike]) -> str | tuple[str, ...]:
    """Returns the name of a quantizer, or the names of a pair, as a saved configuration holds it."""
    if isinstance(quantizer, list | tuple):
        return tuple(map(quantizers.saved_name, quantizer))
    one: Any = quantizer
    return quantizers.saved_name(one)


def read_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of a constructor from a saved configuration, which may be of version 0.1.0."""
    if "quantizer" not in config:
        return dict(config)
    saved = config["quantizer"]
    read = quantizers.read_saved_name
    return {**config, "quantizer": tuple(map(read, saved)) if isinstance(saved, list | tuple) else read(saved)}


def quantizer_pair(quantizer: QuantizerLike | Sequence[QuantizerLike]) -> tuple[str, str]:
    """Names of the weight and the activation quantizer, from one for both or a pair; each a name, class or instance."""
    one = isinstance(quantizer, str | type | Quantizer)
    pair: Any = (quantizer, quantizer) if one else quantizer
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise ValueError(
            "`quantizer` must be the name of a quantizer, its class or an instance, or a pair (weights, activations). "
            f"Received: {quantizer!r}"
        )
    weights, activations = map(quantizers.name_of, pair)
    other = quantizers.family(activations).activation_name
    if other is None:
        return weights, activations
    if one:
        return weights, other
    raise ValueError(
        f"Quantizer `{activations}` is for kernels. Received: quantizer={quantizer!r}. Name another one for "
        f'activations, "{other}" for example.'
    )


def _bits(bits: Any, name: str, quantizer: str, signed: bool) -> tuple[int, ...] | None:
    return None if bits is None else tuple(each.bits for each in check_bits(bits, name, quantizer, signed))


def _check_coupled(weight_bits: Any, activation_bits: Any) -> None:
    """Raises `ValueError` unless candidate i of the kernel can go with candidate i of the input."""
    tensors = [tuple(bits) if isinstance(bits, Iterable) else (bits,) for bits in (weight_bits, activation_bits)]
    if len(tensors[0]) != len(tensors[1]) or any(list(bits) != sorted(bits) for bits in tensors if len(bits) > 1):
        raise ValueError(
            "`coupled=True` pairs candidate i of the weights with candidate i of the activations: expected "
            "equally many of both, in increasing order, such as `weight_bits=(1, 2, 4), activation_bits=(2, 3, 4)`. "
            f"Received: weight_bits={weight_bits}, activation_bits={activation_bits}"
        )
