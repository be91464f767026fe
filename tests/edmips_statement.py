"""EdMIPS as its paper states it, in NumPy and float64, with gradients derived by hand; loops over output positions.

Rounding passes gradients straight through. No line is shared with the library, nor any constant.
"""

import functools
import itertools
import math

import numpy as np
from scipy import optimize, special


class Quantized:
    """A tensor at one candidate.

    Attributes:
        values: Q(x).
        inside: dQ/dx, 0 or 1.
        by_state: dQ/dstate for the trained state, elementwise, scaled as the LSQ paper does; 0 without one.
        distance: How far each position is from where a rounding or a gradient changes.
    """

    def __init__(self, x, step, low, high, *, offset=0.0, clips=True, by_step=0.0, dead_zone=None):
        position = x / step - offset
        code = np.clip(np.rint(position), low, high)
        self.distance = np.abs(position - np.floor(position) - 0.5)
        if dead_zone is not None:
            code = np.where(np.abs(position) < dead_zone, 0, np.sign(position))
            self.distance = np.minimum(np.abs(np.abs(position) - dead_zone), np.abs(position))
        self.values = (code + offset) * step
        self.inside = np.ones_like(x)
        if clips:
            self.inside = ((position >= low) & (position <= high)).astype(np.float64)
            self.distance = np.minimum(self.distance, np.minimum(np.abs(position - low), np.abs(position - high)))
        self.by_state = (code + offset - self.inside * x / step) * by_step


def quantize(name, x, bits, *, signed=True, kernel=False, state=None, widest=None):
    """Returns `x` at one candidate.

    Args:
        name: Of the quantizer.
        x: The tensor, output channels last if it is a kernel.
        bits: The candidate.
        signed: False for levels from 0.
        kernel: True if it is a kernel.
        state: Name to number; `step` is that of the widest candidate where several share it, and may be an array with
            the step of each channel.
        widest: Bits of that candidate; None for a state of the candidate's own.
    """
    low, high = _ends(name, bits, signed)
    channels = tuple(range(x.ndim - 1)) if kernel else None
    if name == "lsq":  # Esser et al., 2020, eq. 1 to 3 and section 2.2; two levels around zero at one signed bit
        ratio = 1.0 if widest is None else _lsq_unit(bits, signed) / _lsq_unit(widest, signed)
        count = x.size // np.size(state["step"]) if kernel else x[0].size
        # A shared step changes by the share by which this candidate would change its own, the step times the ratio.
        scale = 1 / (ratio * math.sqrt(count * max(high, 1)))
        if signed and bits == 1:
            return Quantized(x, 2 * ratio * state["step"], low, high, offset=0.5, by_step=2 * scale)
        return Quantized(x, ratio * state["step"], low, high, by_step=scale)
    if name == "hwgq" and signed:  # section 3.2
        step = gaussian_step(low, high, 0.5) * x.std()
        return Quantized(x, step, low, high, offset=0.5, clips=False)
    if name == "hwgq":
        return Quantized(x, gaussian_step(1, high, half=True) * state["deviation"], low, high)
    if name == "linear":
        return Quantized(x, np.abs(x).max(axis=channels, keepdims=True) / high, low, high, clips=False)
    if name == "moving_range":  # Jacob et al., 2018, section 3
        step = (state["maximum"] - state["minimum"]) / (2**bits - 1)
        first = np.rint(state["minimum"] / step)
        return Quantized(x, step, first, first + 2**bits - 1)
    mean = np.abs(x).mean(axis=channels, keepdims=True)  # dual_precision, eq. 1 to 4
    if bits == 1:
        return Quantized(x, 2 * mean, -1, 0, offset=0.5, clips=False)
    if bits == 2:
        return Quantized(x, mean, -1, 1, clips=False, dead_zone=0.7)
    step = mean * gaussian_step(-high, high) / math.sqrt(2 / math.pi)
    return Quantized(x, step, -high, high, clips=False)


def _ends(name, bits, signed):
    if not signed:
        return 0, 2**bits - 1
    high = 2 ** (bits - 1) - 1
    narrow = name == "linear" or (name == "lsq" and bits == 8)
    return (-high if narrow else -high - 1), high


def _lsq_unit(bits, signed):
    """The step of least squared error for a unit Gaussian, or its positive half; half of it for the levels -1, +1."""
    low, high = _ends("lsq", bits, signed)
    if signed and bits == 1:
        return gaussian_step(low, high, 0.5) / 2
    return gaussian_step(low, high, half=not signed)


@functools.cache
def gaussian_step(low, high, offset=0.0, *, half=False):
    """The s for which levels s * l fit a unit Gaussian best: where E[(x - s l(x)) l(x)], the derivative, is zero."""
    levels = np.arange(low, high + 1) + offset

    def derivative(step):
        edges = np.concatenate([[0.0 if half else -np.inf], step * (levels[1:] + levels[:-1]) / 2, [np.inf]])
        density = np.exp(-(edges**2) / 2) / math.sqrt(2 * math.pi)
        first, mass = -np.diff(density), np.diff(special.ndtr(edges))
        return (levels * first - step * levels**2 * mass).sum()

    steps = np.geomspace(1e-3, 4, 400)
    signs = np.sign([derivative(step) for step in steps])
    last = int(np.flatnonzero(np.diff(signs))[-1])  # steps finer than the best have local minima too
    return optimize.brentq(derivative, steps[last], steps[last + 1], xtol=1e-14)


def convolve(x, kernel, *, stride=1, padding="valid", groups=1, dilation=1):
    """Returns the convolution of `[n, ..., c]` and the function from its gradient to those of both operands.

    In two dimensions; one and none are two of size 1. A depthwise kernel is one of as many groups as channels.
    """
    images = x.reshape(len(x), *[1] * (4 - x.ndim), *x.shape[1:])
    filters = kernel.reshape(*[1] * (4 - x.ndim), *kernel.shape[: x.ndim - 2], x.shape[-1] // groups, -1)
    sizes, sides = [(size - 1) * dilation + 1 for size in filters.shape[:2]], [(0, 0), (0, 0)]
    if padding == "same":
        for axis in (0, 1):
            count = -(-images.shape[1 + axis] // stride)
            total = max((count - 1) * stride + sizes[axis] - images.shape[1 + axis], 0)
            sides[axis] = (total // 2, total - total // 2)
    padded = np.pad(images, ((0, 0), *sides, (0, 0)))
    rows, columns = ((padded.shape[1 + axis] - sizes[axis]) // stride + 1 for axis in (0, 1))
    channels, outputs = filters.shape[2], np.zeros((len(x), rows, columns, filters.shape[-1]))
    own = outputs.shape[-1] // groups
    places = []  # a window with the channels of a group, the output that it makes, the filters that make it
    for i, j, group in itertools.product(range(rows), range(columns), range(groups)):
        window = (
            slice(start * stride, start * stride + size, dilation) for start, size in zip((i, j), sizes, strict=True)
        )
        made = slice(group * own, (group + 1) * own)
        window = (slice(None), *window, slice(group * channels, (group + 1) * channels))
        places.append((window, (slice(None), i, j, made), (..., made)))
    for window, output, by in places:
        outputs[output] = np.tensordot(padded[window], filters[by], 3)

    def gradients(upstream):
        upstream = upstream.reshape(outputs.shape)
        dx, dfilters = np.zeros_like(padded), np.zeros_like(filters)
        for window, output, by in places:
            dx[window] += np.tensordot(upstream[output], filters[by], ((1,), (3,)))
            dfilters[by] += np.tensordot(padded[window], upstream[output], ((0,), (0,)))
        (top, bottom), (left, right) = sides
        dx = dx[:, top : dx.shape[1] - bottom, left : dx.shape[2] - right]
        return dx.reshape(x.shape), dfilters.reshape(kernel.shape)

    return outputs.reshape(len(x), *outputs.shape[5 - x.ndim :]), gradients


class Choice:
    """pi of eq. 11 or of a relaxation beyond the paper: weights of a mixture, and their gradient for the logits.

    Args:
        logits: `[candidates]` array.
        relaxation: `"softmax"`, `"annealed"`, or `"gumbel"`: one-hot, its gradient that of the soft sample.
        temperature: Of the last two.
        noise: `[candidates]` array, for Gumbel.
    """

    def __init__(self, logits, relaxation="softmax", temperature=1.0, noise=None):
        self._temperature = 1.0 if relaxation == "softmax" else temperature
        soft = softmax(logits / (temperature if relaxation == "annealed" else 1.0))
        self.probabilities, self._priced_temperature = soft, temperature if relaxation == "annealed" else 1.0
        self.weights = self._soft = soft
        if relaxation == "gumbel":
            self._soft = softmax((logits + noise) / temperature)
            self.weights = np.eye(len(logits))[np.argmax(logits + noise)]

    def by_logits(self, by_weights, by_probabilities):
        """The gradient of the logits, and the size of the terms that it is made of.

        Args:
            by_weights: The gradient of the mixture's weights.
            by_probabilities: That of the probabilities that are paid for.
        """
        parts = [(self._soft, by_weights, self._temperature)]
        parts += [(self.probabilities, by_probabilities, self._priced_temperature)]
        gradient = sum(p * (upstream - p @ upstream) / temperature for p, upstream, temperature in parts)
        return gradient, sum(p * (np.abs(upstream) + p @ np.abs(upstream)) / t for p, upstream, t in parts)


def softmax(logits):
    odds = np.exp(logits - logits.max())
    return odds / odds.sum()


def layer(weights, activations, choices, upstream, price, *, coupled, **geometry):
    """Returns the output and the gradients of sum(upstream * output) + cost.

    Decoupled: eq. 10 by the composite of eq. 14, y = conv(sum_j q_j A_j, sum_i p_i W_i), cost p . price . q (eq. 12).
    Coupled (section 4.5): y = sum_k p_k conv(A_k, W_k), cost p . diagonal of the price.

    Args:
        weights: The `Quantized` kernel of each candidate.
        activations: The `Quantized` inputs.
        choices: The two `Choice`s; the same one twice if coupled.
        upstream: Gradient of the output.
        price: `[W, A]` array.
        coupled: As above.
        **geometry: As of `convolve`.

    Returns:
        `output` and `cost`; `input` and `kernels`, the gradients of input and of each candidate's kernel; `steps`, a
        pair of arrays whose sums are those of the trained state; `logits`, what `Choice.by_logits` returns, for each.
    """
    p, q = (choice.weights for choice in choices)
    paid = [choice.probabilities for choice in choices]
    if coupled:
        found = [convolve(a.values, w.values, **geometry) for a, w in zip(activations, weights, strict=True)]
        output = sum(p[k] * product for k, (product, _) in enumerate(found))
        inner = [gradients(upstream) for _, gradients in found]
        by_activations, by_weights = zip(*inner, strict=True)
        diagonal = np.diag(price)
        cost = paid[0] @ diagonal
        logits = (choices[0].by_logits(np.array([(upstream * product).sum() for product, _ in found]), diagonal),)
    else:
        mixed = sum(q[j] * a.values for j, a in enumerate(activations))
        composite = sum(p[i] * w.values for i, w in enumerate(weights))
        output, gradients = convolve(mixed, composite, **geometry)
        by_mixed, by_composite = gradients(upstream)
        by_activations, by_weights = [by_mixed] * len(q), [by_composite] * len(p)
        cost = paid[0] @ price @ paid[1]
        logits = (
            choices[0].by_logits(np.array([(by_composite * w.values).sum() for w in weights]), price @ paid[1]),
            choices[1].by_logits(np.array([(by_mixed * a.values).sum() for a in activations]), paid[0] @ price),
        )
    return {
        "output": output,
        "cost": cost,
        "input": sum(q[j] * by_activations[j] * a.inside for j, a in enumerate(activations)),
        "kernels": [p[i] * by_weights[i] * w.inside for i, w in enumerate(weights)],
        "steps": (
            sum(p[i] * by_weights[i] * w.by_state for i, w in enumerate(weights)),
            sum(q[j] * by_activations[j] * a.by_state for j, a in enumerate(activations)),
        ),
        "logits": logits,
    }
