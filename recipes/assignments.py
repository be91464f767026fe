"""Returns the bits of the layers for the settings of a recipe."""

import fnmatch
import math

import tfmp
from recipes.classifier import accuracy, compile_model, held_out
from tfmp.bindings.framework import framework_of
from tfmp.search import SearchedCost

_NUM_HELD_OUT = 5000


def relaxed(model, config, seed, x_train):
    """The relaxed model of a configuration."""
    return tfmp.relax(
        model,
        weight_bits=tuple(config["weight_bits"]),
        activation_bits=tuple(config["activation_bits"]),
        quantizer=config["quantizer"],
        relaxation=config["relaxation"],
        shared_range=config["shared_range"],
        shared_weights=config["shared_weights"],
        coupled=config["coupled"],
        calibration=x_train[:512],
        seed=seed,
    )


def budget_of(config):
    """The BitOps of the uniform network."""
    return tfmp.Budget("bitops", like_uniform=tuple(config["uniform_bits"]))


def equivalent_bits(search_model, bits):
    """The bits of the uniform network, weights and inputs alike, whose searched layers cost as many BitOps."""
    priced = SearchedCost(framework_of(search_model).read(search_model, weights=False), "bitops")
    return math.sqrt(priced.of(bits) / priced.uniform(1, 1))


def assignment_of(run, search_model, x_train):
    """The bits that the setting `assignment` says, as lists.

    It is the name of a baseline (`tfmp.assign.baseline_names()`) at the BitOps of the uniform network, with scores of
    256 images; the name of a run that found bits with these settings; or patterns of layer names with their bits, of
    which the last that fits counts.
    """
    assignment = run.config["assignment"]
    if isinstance(assignment, dict):
        names = list(tfmp.discretize(search_model))
        fitting = {name: [b for pattern, b in assignment.items() if fnmatch.fnmatch(name, pattern)] for name in names}
        if unnamed := [name for name, found in fitting.items() if not found]:
            raise ValueError(f"No pattern of `assignment` fits {', '.join(unnamed)}. Received: {list(assignment)}")
        return {name: found[-1] for name, found in fitting.items()}
    if assignment not in tfmp.assign.baseline_names():
        return run.result_of(assignment)["bits"]
    scored = tfmp.assign.needs_scores(assignment)
    scores = tfmp.measure_sensitivity(search_model, x_train[:256]) if scored else None
    draw = run.config.get("draw", 0)
    found = tfmp.assign.by_name(assignment, search_model, budget_of(run.config), sensitivity=scores, seed=draw)
    return {name: list(pair) for name, pair in found.bits.items()}


def discretized(search_model, config, seed, x_train):
    """The bits that a searched model decided on, as lists.

    The strategies are those of `tfmp.discretize` and `"validation"`: of 8 multinomial draws within the budget the one
    that is best, not trained further, on the last 5,000 training images, which nothing else sees.
    """
    budget, drawing = budget_of(config), 1000 * seed + config["draw"]
    if config["strategy"] == "validation":
        validation = held_out(_NUM_HELD_OUT)

        def score(network):
            compile_model(network, "sgd")
            return accuracy(network, validation)

        calibration = x_train[:2048]
        found = tfmp.assign.by_validation(
            search_model, score, samples=8, budget=budget, calibration=calibration, seed=drawing
        )
    else:
        found = tfmp.discretize(search_model, strategy=config["strategy"], budget=budget, seed=drawing)
    return {name: list(pair) for name, pair in found.bits.items()}
