"""What a compressed model is to meet."""

import dataclasses

from tfmp.checks import check_choice, check_integer, check_integers, check_number
from tfmp.graph.targets import MICRO, TARGETS
from tfmp.reports import WishCheck
from tfmp.search.budget import Budget

SHOWN_DROP = 0.01  # without a wish about accuracy: the drop at which no costlier way is tried
_ALL_BITS = (2, 3, 4, 5, 6, 8)
_CONTAINER_BITS = (2, 4, 8)  # of LiteRT: other bits take the bytes of the next larger container


@dataclasses.dataclass(frozen=True)
class Wish:
    """Limits of a compressed model; those that are None are not asked for.

    Args:
        flash_bytes: Size of the file.
        ram_bytes: Memory of the interpreter of microcontrollers, of which `target` is one.
        bitops_like: `(weight_bits, activation_bits)`: the bit operations of uniform bits.
        max_accuracy_drop: Accuracy of the float model minus that of the file, 0 to 1.
        target: `"litert"` or `"micro"`.

    Raises:
        ValueError: If nothing is asked for, a limit is out of range, or RAM is asked for with another target.
    """

    flash_bytes: int | None = None
    ram_bytes: int | None = None
    bitops_like: tuple[int, int] | None = None
    max_accuracy_drop: float | None = None
    target: str = "litert"

    def __post_init__(self) -> None:
        check_choice("target", self.target, TARGETS)
        limits = (self.flash_bytes, self.ram_bytes, self.bitops_like, self.max_accuracy_drop)
        if all(limit is None for limit in limits):
            raise ValueError(
                "Expected something to aim at. Received: no limit. Give `flash_bytes`, `ram_bytes`, `bitops_like` or "
                "`max_accuracy_drop`."
            )
        for name in ("flash_bytes", "ram_bytes"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), at_least=1)
        if self.ram_bytes is not None and self.target != MICRO.name:
            raise ValueError(
                "`ram_bytes` is the arena of the interpreter of microcontrollers. Received: "
                f'target={self.target!r}. Give target="{MICRO.name}", or omit it.'
            )
        if self.bitops_like is not None:
            check_integers("bitops_like", self.bitops_like, count=2, at_least=1, at_most=8)
        if self.max_accuracy_drop is not None:
            check_number("max_accuracy_drop", self.max_accuracy_drop, at_least=0, at_most=1)

    @property
    def accepted_drop(self) -> float:
        """The drop of accuracy up to which no costlier way is tried."""
        return SHOWN_DROP if self.max_accuracy_drop is None else self.max_accuracy_drop

    @property
    def size_cost(self) -> str:
        """Name of the cost that foresees the bytes of the file."""
        return "micro_bytes" if self.target == MICRO.name else "tflite_bytes"

    @property
    def budgets(self) -> dict[str, Budget]:
        """The budgets of the limits by their quantity in `checks`; `max_accuracy_drop` has none."""
        budgets = {}
        if self.flash_bytes is not None:
            budgets["flash"] = Budget(self.size_cost, limit=self.flash_bytes)
        if self.ram_bytes is not None:
            budgets["RAM"] = Budget("micro_arena_bytes", limit=self.ram_bytes)
        if self.bitops_like is not None:
            budgets["bit operations"] = Budget("bitops", like_uniform=self.bitops_like)
        return budgets

    @property
    def candidates(self) -> dict[str, tuple[int, ...]]:
        """Candidates for weights and activations, as arguments of `tfmp.relax`.

        Activations take a byte each in memory: fewer bits serve only bit operations.
        """
        if self.bitops_like is not None:
            own = set(_ALL_BITS) | set(self.bitops_like)
            weight, activation = (tuple(sorted(own | {least})) for least in self.bitops_like)
            return {"weight_bits": weight, "activation_bits": tuple(bits for bits in activation if bits > 1)}
        return {
            "weight_bits": _ALL_BITS if self.target == MICRO.name else _CONTAINER_BITS,
            "activation_bits": (8,),
        }

    def checks(self, found: "Found") -> list[WishCheck]:
        """Returns the limits beside what was found."""
        checks = []
        if self.flash_bytes is not None:
            checks.append(WishCheck("flash", self.flash_bytes, found.size_bytes, "bytes"))
        if self.ram_bytes is not None and found.arena_bytes is not None:
            checks.append(WishCheck("RAM", self.ram_bytes, found.arena_bytes, "bytes"))
        if self.bitops_like is not None:
            checks.append(WishCheck("bit operations", found.bitops_limit, found.bitops, ""))
        if self.max_accuracy_drop is not None and found.accuracy_drop is not None:
            checks.append(WishCheck("accuracy drop", self.max_accuracy_drop, found.accuracy_drop))
        return checks

    @property
    def words(self) -> dict[str, str]:
        """What is asked for, in words by name."""
        words = {}
        if self.flash_bytes is not None:
            words["flash"] = f"at most {self.flash_bytes:,} bytes"
        if self.ram_bytes is not None:
            words["RAM"] = f"at most {self.ram_bytes:,} bytes"
        if self.bitops_like is not None:
            words["bit operations"] = "those of W{}A{} in every searched layer".format(*self.bitops_like)
        if self.max_accuracy_drop is not None:
            words["accuracy"] = f"at most {100 * self.max_accuracy_drop:g} points below the float model"
        if set(words) == {"accuracy"}:
            words["size"] = "as small as this allows"
        return {**words, "target": TARGETS[self.target].words}


@dataclasses.dataclass(frozen=True)
class Found:
    """What a network takes.

    Args:
        size_bytes: Size of its file.
        arena_bytes: Memory of the interpreter of microcontrollers; None for other files.
        bitops: Its bit operations.
        bitops_limit: Those that were asked for, of the whole network; 0 if none were.
        accuracy_drop: Accuracy of the float model minus its own; None if it was not measured.
    """

    size_bytes: int
    arena_bytes: int | None
    bitops: float
    bitops_limit: float = 0.0
    accuracy_drop: float | None = None
