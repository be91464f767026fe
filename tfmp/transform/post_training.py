"""The best that a fixed network can do without training."""

from tfmp.bindings import binding
from tfmp.transform.calibrate import calibrate_ranges
from tfmp.transform.moment_correction import MomentCorrection
from tfmp.transform.separate_activations import with_separate_activations
from tfmp.types import Graph


def quantize_after_training(model, floating: Graph, data):
    """Fits a fixed network to data so that it can be used as it is.

    Every quantizer gets the range of least squared error at its bits; then, layer by layer in the order of the network,
    means and variances are brought back to those in floating point.

    Args:
        model: A fixed model with the weights of the network in floating point, changed in place.
        floating: That network.
        data: As in `tfmp.data.batches.batches`.
    """
    bound = binding.of(model)
    calibrate_ranges(model, bound.write(floating), data, least_squares=True)
    graph = with_separate_activations(bound.read(model))
    twin = bound.write(graph)
    correction = MomentCorrection(graph, twin, bound.write(with_separate_activations(floating)), data)
    for name in correction.carriers:
        correction.correct(name)
        for path, value in correction.values(name).items():
            getattr(bound.layer(model, name), path).assign(value)
