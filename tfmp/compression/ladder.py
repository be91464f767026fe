"""Tries the ways of a compression from the cheapest to the costliest, until one meets the wish."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from tfmp.annotations import KerasModel
from tfmp.assign.sensitivity import Sensitivity
from tfmp.compression.chosen_bits import can_be_met, chosen_bits, closest_budgets, scaled, whole_limit
from tfmp.compression.way_result import WayResult
from tfmp.compression.wish import Found, Wish
from tfmp.compression.workshop import Made, Workshop
from tfmp.graph import BitAssignment, Graph
from tfmp.inspection.inspect import inspect_model
from tfmp.reports import Attempt
from tfmp.search.budget import Budget
from tfmp.search.searched_cost import SearchedCost
from tfmp.transform.edits.layer_plan import SEARCHED

WORDS = {
    "int8": "quantizes to 8 bits after training",
    "mixed": "quantizes to bits by sensitivities after training",
    "rounding": "also learns the rounding of weights, block by block",
    "fine-tuning": "trains the network at its bits",
    "search": "searches the bits while training, and trains at them",
}
_POINTS = 8  # sizes that are tried for the smallest accurate file
_TIGHTENINGS = 3  # of a budget whose cost was foreseen too small


@dataclasses.dataclass
class Ladder:
    """The ways that were considered for a wish, and their results.

    Args:
        workshop: Makes the networks.
        wish: What is asked for.
        say: Function that is told what happens.
        attempts: What was considered so far, in order.
        results: The results so far, by the place of their attempt.
        sensitivity: The sensitivities, once measured.
        graph: The relaxed network, once known.
        bitops_limit: The bit operations that were asked for, of the whole network; 0 if none were.
    """

    workshop: Workshop
    wish: Wish
    say: Callable[[str], None]
    attempts: list[Attempt] = dataclasses.field(default_factory=list)
    results: dict[int, WayResult] = dataclasses.field(default_factory=dict)
    sensitivity: Sensitivity | None = None
    graph: Graph | None = None
    bitops_limit: float = 0.0

    def climb(self) -> WayResult:
        """Returns the best result: one that meets the wish, or else the closest."""
        search_model = self._relaxed()
        self.graph = graph = self._graph(search_model)
        if self.wish.bitops_like is not None:
            self.bitops_limit = whole_limit(graph, Budget("bitops", like_uniform=self.wish.bitops_like))
        at_8_bits, ratio = None, 0.0
        if self.bitops_limit:
            ratio = whole_limit(graph, Budget("bitops", like_uniform=(8, 8))) / self.bitops_limit
        if ratio > 1:
            self._skip("int8", "it is the cheapest way", f"skipped: it takes {ratio:.3g} times the bit operations")
        else:
            at_8_bits = self._try("int8", "int8", self.workshop.at_8_bits, "it is the cheapest way")
        if not self.wish.budgets:
            self._shrink(search_model)
        elif at_8_bits is None or not self._fits(at_8_bits):
            self._within(search_model, closest_budgets(graph, list(self.wish.budgets.values())))
        elif not self._is_accurate(at_8_bits):
            everything = BitAssignment.uniform([layer.name for layer in graph.searched], 8, 8)
            self._train(search_model, everything, "8 bits fit, and lose too much without training")
        return self._best()

    def _relaxed(self) -> KerasModel:
        """Returns the relaxed model; first and last layers are searched only if there is no other way."""
        options: dict[str, Any] = dict(self.wish.candidates)
        if any(row.status == SEARCHED for row in inspect_model(self.workshop.model).rows):
            search_model = self.workshop.relaxed(**options)
            budgets = list(self.wish.budgets.values())
            if not budgets or can_be_met(self._graph(search_model), budgets):
                return search_model
        return self.workshop.relaxed(first_and_last="search", **options)

    def _graph(self, search_model: KerasModel) -> Graph:
        return self.workshop.framework.read(search_model, weights=False)

    def _within(self, search_model: KerasModel, budgets: Sequence[Budget]) -> None:
        """Tries all ways within budgets, until a result is accurate enough."""
        self.say("measuring sensitivities")
        self.sensitivity = sensitivity = self.workshop.sensitivity(search_model)
        graph, limits = self._graph(search_model), list(budgets)
        for place in range(_TIGHTENINGS):
            assignment, why = chosen_bits(sensitivity, search_model, limits)
            mixed = self._try(
                "mixed", f"mixed-{place}", self._post_training(search_model, assignment), f"8 bits do not fit; {why}"
            )
            if self._fits(mixed):
                break
            ratios = self._ratios(mixed)
            factors = [0.999 / ratios[quantity] if ratios[quantity] > 1 else 1.0 for quantity in self.wish.budgets]
            tighter = scaled(graph, limits, factors)
            if not can_be_met(graph, tighter):
                break
            limits = tighter
        if self._is_accurate(mixed):
            return
        rounded = self._try(
            "rounding",
            "rounded",
            self._post_training(search_model, assignment, rounding=True),
            f"post-training loses {self._points(mixed)}",
        )
        if self._is_accurate(rounded):
            return
        trained = self._train(search_model, assignment, f"post-training loses {self._points(rounded)}")
        if trained is None or self._is_accurate(trained):
            return
        self._try(
            "search",
            "searched",
            lambda: self.workshop.searched(search_model, limits, sensitivity),
            f"these bits lose {self._points(trained)} after training",
        )

    def _shrink(self, search_model: KerasModel) -> None:
        """Looks for the smallest file that is accurate enough, by bisection: after training first, then by training."""
        (at_8_bits,) = self.results.values()
        if not self._is_accurate(at_8_bits):
            everything = BitAssignment.uniform([layer.name for layer in self._graph(search_model).searched], 8, 8)
            trained = self._train(search_model, everything, "8 bits lose too much without training")
            if trained is None or not self._is_accurate(trained):
                return
        self.say("measuring sensitivities")
        self.sensitivity = self.workshop.sensitivity(search_model)
        front = self.sensitivity.front(self.wish.size_cost, points=_POINTS)
        outside = SearchedCost(self._graph(search_model), self.wish.size_cost).outside
        smaller = [point for point in front.points if point[front.x] + outside < at_8_bits.size_bytes]
        if not smaller:
            self.say("no bits make the file smaller: its kernels are small, or take as many bytes at any bits")
            return
        points = sorted(smaller, key=lambda point: point[front.x])
        assignments = [BitAssignment({name: tuple(pair) for name, pair in point["bits"].items()}) for point in points]

        def without_training(place: int) -> WayResult:
            make = self._post_training(search_model, assignments[place])
            return self._try("mixed", f"mixed-{place}", make, "smaller files may be accurate enough")

        def with_training(place: int) -> WayResult | None:
            return self._train(search_model, assignments[place], "training may allow a smaller file", key=str(place))

        smallest = self._first_accurate(0, len(assignments), without_training)
        if self.workshop.plan.epochs:
            self._first_accurate(0, smallest, with_training)
        else:
            self._train(search_model, assignments[0], "training may allow a smaller file")

    def _first_accurate(self, low: int, high: int, attempt: Callable[[int], WayResult | None]) -> int:
        """Returns the first place from `low` whose attempt is accurate enough, or `high`, by bisection."""
        while low < high:
            middle = (low + high) // 2
            result = attempt(middle)
            if result is not None and self._is_accurate(result):
                high = middle
            else:
                low = middle + 1
        return high

    def _post_training(
        self, search_model: KerasModel, assignment: BitAssignment, *, rounding: bool = False
    ) -> Callable[[], Made]:
        return lambda: self.workshop.post_trained(search_model, assignment, rounding=rounding)

    def _train(
        self, search_model: KerasModel, assignment: BitAssignment, reason: str, *, key: str = ""
    ) -> WayResult | None:
        if not self.workshop.plan.epochs:
            self._skip("fine-tuning", reason, "skipped: no training was allowed")
            return None
        name = f"fine-tuned{key and '-'}{key}"

        def make() -> Made:
            return self.workshop.fine_tuned(search_model, assignment, backup=f"{name}-training")

        return self._try("fine-tuning", name, make, reason)

    def _try(self, way: str, key: str, make: Callable[[], Made], reason: str) -> WayResult:
        self.say(f"{way}: {WORDS[way]} ({reason})")
        result = self.workshop.result(key, make)
        verdict = self._verdict(result)
        self.say(f"  {result.size_bytes:,} bytes, accuracy {result.accuracy:.2%}: {verdict}")
        self.results[len(self.attempts)] = result
        self.attempts.append(Attempt(way, WORDS[way], reason, verdict, result.size_bytes, result.accuracy))
        return result

    def _skip(self, way: str, reason: str, verdict: str) -> None:
        self.say(f"{way}: {verdict}")
        self.attempts.append(Attempt(way, WORDS[way], reason, verdict))

    def found(self, result: WayResult, accuracy_drop: float | None = None) -> Found:
        """Returns what a result takes; its accuracy drop is that on the validation samples unless given."""
        drop = self._drop(result) if accuracy_drop is None else accuracy_drop
        return Found(result.size_bytes, result.arena_bytes, result.bitops, self.bitops_limit, drop)

    def _drop(self, result: WayResult) -> float:
        return self.workshop.float_accuracy - result.accuracy

    def _points(self, result: WayResult) -> str:
        return f"{100 * self._drop(result):.2f} points"

    def _is_accurate(self, result: WayResult) -> bool:
        return self._drop(result) <= self.wish.accepted_drop + 1e-12

    def _ratios(self, result: WayResult) -> dict[str, float]:
        """Returns what a result takes as a share of its limit, by the quantity of a budget."""
        checks = self.wish.checks(self.found(result))
        return {check.quantity: check.found / check.limit for check in checks if check.quantity in self.wish.budgets}

    def _excess(self, result: WayResult) -> float:
        """Returns the largest ratio of what a result takes to its limit, 1 or less if it fits."""
        return max(self._ratios(result).values(), default=0.0)

    def _fits(self, result: WayResult) -> bool:
        return self._excess(result) <= 1

    def _verdict(self, result: WayResult) -> str:
        missed = [check.quantity for check in self.wish.checks(self.found(result)) if not check.is_met]
        if missed:
            return f"misses the limit of {' and '.join(missed)}"
        if not self._is_accurate(result):
            return f"within the limits, but loses {self._points(result)}"
        return "meets everything"

    def _best(self) -> WayResult:
        """Returns the result to keep.

        Those within all limits come first, then the closest ones. Among these, with sizes limited, the most accurate
        one; otherwise the smallest that is accurate enough.
        """

        def rank(place: int) -> tuple[Any, ...]:
            result = self.results[place]
            excess, drop = max(1.0, self._excess(result)), self._drop(result)
            if not self.wish.budgets:
                lost = max(drop, self.wish.accepted_drop)
                return lost, result.size_bytes, drop
            is_early = self._is_accurate(result)
            return round(excess, 3), not is_early, place if is_early else drop

        best = min(self.results, key=rank)
        self.attempts[best] = dataclasses.replace(self.attempts[best], verdict=f"{self.attempts[best].verdict}; taken")
        return self.results[best]
