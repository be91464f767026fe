"""Says what came out of a compression, and what would help where a limit is not met."""

from collections.abc import Mapping, Sequence

from tfmp.compression.chosen_bits import can_be_met
from tfmp.compression.ladder import WORDS, Ladder
from tfmp.graph import Graph
from tfmp.graph.targets import LITERT
from tfmp.reports import TFLiteReport, Tolerance, WishCheck
from tfmp.search.budget import Budget, priced_limits
from tfmp.search.knapsack import least
from tfmp.search.searched_cost import SearchedCost


def conclusion(ladder: Ladder, checks: Sequence[WishCheck], has_test: bool) -> str:
    """Returns what came out, in words.

    Args:
        ladder: The ways that were tried.
        checks: The limits beside what was found.
        has_test: Whether the result was measured on other samples than those by which it was chosen.
    """
    taken = ladder.attempts[_taken(ladder)]
    missed = [check.quantity for check in checks if not check.is_met]
    result = f"misses the limit of {' and '.join(missed)}, and is the closest found" if missed else "meets every limit"
    measured = (
        "" if has_test else " The accuracies are of the samples by which it was chosen, as no test samples were given."
    )
    return f"The way {taken.way}, which {WORDS[taken.way]}, {result}.{measured}"


def advice(ladder: Ladder, checks: Sequence[WishCheck]) -> list[str]:
    """Returns what would help, a sentence for each idea; empty if every limit is met."""
    missed = {check.quantity for check in checks if not check.is_met}
    sentences = []
    met = [check.quantity for check in checks if check.is_met]
    for check in checks:
        if not check.is_met and check.quantity in ("flash", "RAM") and ladder.graph is not None:
            sentences.append(_advice_on_bytes(ladder.graph, check, ladder.wish.budgets, met))
    if "flash" in missed and ladder.wish.target == LITERT.name:
        sentences.append(
            "LiteRT stores kernels as INT8, INT4 or INT2. With the target micro, 3, 5 and 6 bits are smaller as well."
        )
    if "bit operations" in missed:
        sentences.append("More bit operations, or a network with fewer channels.")
    if "accuracy drop" in missed:
        sentences.append(_advice_on_accuracy(ladder))
    return sentences


def rounding_note(report: TFLiteReport) -> str:
    """Returns a sentence about a file that is exact, but not near to its network in floating point; or no text."""
    agreement, (decibels, _) = report.trained, Tolerance().of("trained")
    if agreement is None or decibels is None or agreement.signal_to_noise_db >= decibels:
        return ""
    same = agreement.top1_agreement
    classes = "" if same is None else f", with the same class in {same:.1%}"
    return (
        "The file computes in integers, whose roundings add up at few bits: its outputs are "
        f"{agreement.signal_to_noise_db:.1f} dB from those that Keras computes{classes}. Go by its accuracy."
    )


def _taken(ladder: Ladder) -> int:
    """Returns the place of the attempt whose result is kept."""
    return next(place for place, attempt in enumerate(ladder.attempts) if attempt.verdict.endswith("taken"))


def _advice_on_bytes(graph: Graph, check: WishCheck, budgets: Mapping[str, Budget], met: Sequence[str]) -> str:
    priced = SearchedCost(graph, budgets[check.quantity].cost)
    others = [budgets[quantity] for quantity in met if quantity in budgets]
    limits: tuple[Sequence[SearchedCost], Sequence[float]] = ([], [])
    if others and can_be_met(graph, others):
        limits = priced_limits(others, graph)
    smallest = least(*limits, priced) + priced.outside
    if smallest <= check.limit:
        return (
            f"The {check.quantity} was foreseen within the limit, and is {check.found / check.limit - 1:.1%} "
            "above it. Raise the limit by this much."
        )
    within = " within the other limits" if others else ""
    return (
        f"The least {check.quantity} of this network{within} is about {min(smallest, check.found):,.0f} bytes. Raise "
        "the limit, or give the network fewer channels: `tfmp.width.scale_width`."
    )


def _advice_on_accuracy(ladder: Ladder) -> str:
    accuracy = ladder.results[_taken(ladder)].accuracy
    if ladder.workshop.float_accuracy - accuracy <= ladder.wish.accepted_drop:
        count = len(ladder.workshop.samples.validation[1])
        error = 100 * (accuracy * (1 - accuracy) / count) ** 0.5
        return (
            f"On the {count:,} samples that choose between ways, the file is within the limit. One accuracy has a "
            f"standard error of {error:.2g} points there: give more test samples, or a smaller drop of accuracy, so "
            "that a costlier way is tried."
        )
    if not ladder.workshop.plan.epochs:
        return "Training: `epochs=10`, or omit --no_training on the command line."
    return f"Longer training than {ladder.workshop.plan.epochs} epochs, more data, or larger limits."
