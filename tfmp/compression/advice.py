"""Says what came out of a compression, and what would help where a limit is not met."""

from collections.abc import Sequence

from tfmp.compression.ladder import WORDS, Ladder
from tfmp.graph.targets import LITERT
from tfmp.reports import WishCheck
from tfmp.search.searched_cost import SearchedCost


def conclusion(ladder: Ladder, checks: Sequence[WishCheck], has_test: bool) -> str:
    """Returns what came out, in words.

    Args:
        ladder: The ways that were tried.
        checks: The limits beside what was found.
        has_test: Whether the result was measured on other samples than those by which it was chosen.
    """
    taken = next(attempt for attempt in ladder.attempts if attempt.verdict.endswith("taken"))
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
    for quantity, cost in (("flash", ladder.wish.size_cost), ("RAM", "micro_arena_bytes")):
        if quantity in missed and ladder.graph is not None:
            priced = SearchedCost(ladder.graph, cost)
            least = priced.smallest + priced.outside
            sentences.append(
                f"The least {quantity} of this network, at the fewest bits, is about {least:,.0f} bytes. Raise the "
                "limit, or give the network fewer channels: `tfmp.width.scale_width`."
            )
    if "flash" in missed and ladder.wish.target == LITERT.name:
        sentences.append(
            "LiteRT stores kernels as INT8, INT4 or INT2. With the target micro, 3, 5 and 6 bits are smaller as well."
        )
    if "bit operations" in missed:
        sentences.append("More bit operations, or a network with fewer channels.")
    if "accuracy drop" in missed:
        if not ladder.workshop.plan.epochs:
            sentences.append("Training: `epochs=10`, or omit --no_training on the command line.")
        else:
            sentences.append(
                f"Longer training than {ladder.workshop.plan.epochs} epochs, more data, a larger limit of size, or a "
                "larger drop of accuracy."
            )
    return sentences
