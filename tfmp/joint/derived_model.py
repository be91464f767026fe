"""Derives one network from the controller's probabilities, and builds its Keras model."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from tfmp.annotations import KerasModel
from tfmp.checks import check_instance
from tfmp.joint.categoricals import Categoricals
from tfmp.joint.discrete_network import ENDS_BITS, DiscreteNetwork
from tfmp.networks._convolution import check_keras, classifier, convolution, normalization
from tfmp.networks.mobilenet import inverted_residual
from tfmp.quantizers import QuantizerLike
from tfmp.transform.fix import fix
from tfmp.transform.relax import relax


def best_within_target(
    categoricals: Categoricals,
    probabilities: np.ndarray,
    target: float,
    cost_of: Callable[[DiscreteNetwork], float],
    *,
    samples: int,
    spend: float = 0.0,
    seed: int = 0,
    loss_of: Callable[[DiscreteNetwork], float] | None = None,
) -> DiscreteNetwork:
    """Returns the best network within a target among the most probable one and sampled ones.

    Args:
        categoricals: The choices of the search space.
        probabilities: Probability of each candidate, `[rows, width]`.
        target: Limit of the cost.
        cost_of: Function of a `DiscreteNetwork` that returns its cost.
        samples: Number of sampled networks.
        spend: Smallest share of the target that a network must cost.
        seed: Seed of the samples.
        loss_of: Function from a network to a loss to minimize; by default the most probable network is best.

    Raises:
        ValueError: If no network is within the target and costs that share.
    """
    drawn = categoricals.sample(probabilities, samples, (seed, samples))
    indices = [categoricals.most_probable(probabilities), *drawn]
    networks = list(dict.fromkeys(map(categoricals.network, indices)))
    costs = [cost_of(network) for network in networks]
    least = spend * target
    within = [network for network, cost in zip(networks, costs, strict=True) if least <= cost <= target]
    if not within:
        spending = f" and costs {least:g} or more" if spend else ""
        raise ValueError(
            f"None of {len(networks)} networks is within the target of {target:g}{spending}; they cost from "
            f"{min(costs):g} to {max(costs):g}. Raise `samples`, search longer, or take the most probable network."
        )
    if loss_of is None:
        scores = [-categoricals.log_probability(probabilities, categoricals.indices(network)) for network in within]
    else:
        scores = [loss_of(network) for network in within]
    return within[int(np.argmin(scores))]


_ENDS = ("linear", "moving_range")


def build_network(
    keras: ModuleType,
    network: DiscreteNetwork,
    *,
    quantizer: QuantizerLike | tuple[QuantizerLike, QuantizerLike] = _ENDS,
    calibration: Any = None,
    seed: int = 0,
) -> KerasModel:
    """Returns the Keras model of a network from a joint search, with fixed bits and new weights.

    Train it like any model, then export and simulate it. Its simulated energy equals that in the search exactly.
    Kernels have an L2 regularizer of 1e-4, unlike in the supernet.

    Args:
        keras: The module to build with, `keras` or `tf_keras`.
        network: The network.
        quantizer: Name of a quantizer family, or a pair of names (weights, activations), for the blocks. The default is
            that of the supernet.
        calibration: Inputs from which initial ranges are measured; by default the first training batch.
        seed: Integer, as in `tfmp.relax`.

    Returns:
        A functional model from images to logits, not compiled.

    Example:
        >>> model = tfmp.joint.build_network(keras, search.derive())
    """
    check_keras(keras)
    check_instance("network", network, DiscreteNetwork, "a `tfmp.joint.DiscreteNetwork`")
    bits = network.searched_bits
    model = float_network(keras, network)
    candidates = tuple(sorted({each for pair in bits.values() for each in pair})) or (ENDS_BITS,)
    # Layers that are not searched have 8 bits; if all blocks are skipped, there are no others.
    searched = {"quantizer": quantizer, "skip": ["last"]} if bits else {"quantizer": _ENDS, "first_and_last": "search"}
    relaxed = relax(
        model, weight_bits=candidates, activation_bits=candidates, calibration=calibration, seed=seed, **searched
    )
    return relaxed if len(candidates) == 1 else fix(relaxed, bits)


def float_network(keras: ModuleType, network: DiscreteNetwork) -> KerasModel:
    """Returns the architecture of a network as a Keras model in floating point.

    Args:
        keras: The module to build with, `keras` or `tf_keras`.
        network: The network; its bits are ignored.
    """
    space = network.space
    images = keras.Input((space.image_size, space.image_size, 3), name="image")
    x = convolution(keras, images, space.stem[0], 3, "stem", strides=space.stem[1])
    x = normalization(keras, x, "stem", max_value=6.0)
    for place, choice in network.blocks:
        expansion, kernel_size, *_ = choice.numbers
        x = inverted_residual(
            keras,
            x,
            expanded=expansion * place.in_channels,
            filters=place.out_channels,
            strides=place.strides,
            name=place.name,
            kernel_size=kernel_size,
        )
    x = normalization(keras, convolution(keras, x, space.last_channels, 1, "last"), "last", max_value=6.0)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(images, classifier(keras, x, space.num_classes), name="discrete_network")
