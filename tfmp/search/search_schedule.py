"""Progress of a search, from which its rates follow."""

LOGIT_TRAVEL = 12.0  # nats: a candidate that is ahead of three others by as much has a probability above 0.9999
_FIRST_DECISION, _LAST_DECISION = 0.4, 0.9
_ROUNDS = 20


class SearchSchedule:
    """Counts the steps of a search and says what is due.

    All rates are per fraction of the search, so that searches of 100 and of 100,000 steps follow the same course:

    - The logits can travel 12 nats in all, at a constant rate (`learning_rate`).
    - From 40 % to 90 % of the search, tensors are decided in 20 rounds, an equal number in each (`num_decided`). Until
      then, the expected cost has time to reach the budget. Afterwards, the weights adapt to the chosen bits.

    Attributes:
        total: Number of training steps, None while it is unknown.
        done: Number of steps done.
        fraction: Share of the search that the last call of `advance` added.
        progress: Share of the search that is done, from 0 to 1. It never falls.
    """

    def __init__(self) -> None:
        self.total: int | None = None
        self.done = 0
        self.fraction = self.progress = 0.0

    @property
    def is_complete(self) -> bool:
        """True if all steps are done."""
        return self.total is not None and self.done >= self.total

    def announce(self, total: int) -> None:
        """Sets the number of training steps, those done included."""
        self.total = total

    def advance(self, steps: int) -> None:
        """Counts training steps.

        Raises:
            ValueError: If their total is unknown.
        """
        if self.total is None:
            raise ValueError(
                "The length of the search is unknown. In your own loop, call `search.schedule(optimizer, steps=...)` "
                "with the number of all training steps before the first `search.step()`."
            )
        self.done += steps
        progress = min(1.0, max(self.progress, self.done / self.total))
        self.fraction, self.progress = progress - self.progress, progress

    def learning_rate(self, every: int = 1) -> float:
        """Returns the learning rate of the logits, in nats per update.

        Args:
            every: Number of training steps for each update of the logits.
        """
        return LOGIT_TRAVEL * every / max(self.total or 1, every)

    def num_decided(self, num_choices: int) -> int:
        """Returns how many of the choices are to be decided by now."""
        share = (self.progress - _FIRST_DECISION) / (_LAST_DECISION - _FIRST_DECISION)
        rounds = int(_ROUNDS * min(1.0, max(0.0, share)) + 1e-9)
        return -(-num_choices * rounds // _ROUNDS)

    def state(self) -> dict[str, float]:
        """Returns the state that a resumed run needs; the total follows from its arguments."""
        return {"done": self.done, "progress": self.progress}

    def restore(self, state: dict[str, float]) -> None:
        self.done, self.progress = int(state["done"]), float(state["progress"])
