"""When the logits take steps of their own."""

from tfmp.search.selection_data import SelectionData


class Alternation:
    """Lets steps of the logits on data of their own follow the training steps, which then move all else.

    Args:
        data: A `SelectionData`, or what it is made from.

    Attributes:
        taken: How many steps the logits have taken in all: which batch comes next follows from it.
    """

    def __init__(self, data):
        self.data = SelectionData.of(data)
        self.taken = self._taken_in_epoch = 0
        self._make_step = self._step = None

    def begin(self, make_step):
        """A training begins; `make_step()` returns the step of the logits once there was a batch.

        Not all variables of optimizer and metrics exist before.
        """
        self._make_step, self._step = make_step, None

    def begin_epoch(self):
        self._taken_in_epoch = 0

    def after_batch(self, batch):
        """Takes the steps that are due behind the training step with that number, from 0 in each epoch."""
        for _ in range((batch + 1) // self.data.every - self._taken_in_epoch):
            self._step = self._step or self._make_step()
            self._step(*self.data.batch(self.taken))
            self.taken += 1
            self._taken_in_epoch += 1
