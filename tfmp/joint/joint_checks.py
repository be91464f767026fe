"""Rejects data and state with NaN or infinity in a joint search."""

import numpy as np

from tfmp.files.finite_values import NotFiniteError, check_class_indices, check_finite, names_not_finite
from tfmp.joint.cross_entropy import cross_entropy
from tfmp.joint.epoch_batches import is_pair_of_arrays
from tfmp.joint.joint_backup import value_of

_DIVERGED = "the search diverged: lower the learning rate, or clip gradients"


class JointChecks:
    """What a `JointSearch` checks before and while it searches: a part of it that changes nothing."""

    def _check_data(self, name, part):
        """Refuses arrays that are not finite, and labels that are no classes of the space."""
        if is_pair_of_arrays(part):
            images, labels = part
            check_finite(f"{name} images", images)
            check_finite(f"{name} labels", labels)
            classes = self.space.num_classes
            if self.loss is cross_entropy and np.shape(labels) != (len(labels), classes):  # else probabilities
                check_class_indices(f"{name} labels", labels, (len(labels),), classes)

    def _check_step(self, what, value, batch, epoch, step):
        """Raises an error if a loss or a gradient is NaN or infinite, and says whether the data are."""
        if np.isfinite(value).all():
            return
        where = f"in step {step + 1} of epoch {epoch + 1}"
        for name, array in zip(("images", "labels"), batch, strict=True):
            check_finite(f"{name} {where}", array)
        raise NotFiniteError(f"The {what} is not finite {where}. The batch is: {_DIVERGED}.{self._kept()}")

    def _check_variables(self, when):
        """Raises an error if a variable of the supernet or of the controller is NaN or infinite."""
        variables = (*self.supernet.variables, self.logits)
        wrong = next(names_not_finite((variable.path, value_of(variable)) for variable in variables), None)
        if wrong is not None:
            raise NotFiniteError(f"The variable `{wrong}` is not finite {when}: {_DIVERGED}.{self._kept()}")

    def _kept(self):
        saved = self._backup.epochs() if self._backup is not None else []
        return f" The backup in {self._backup.folder!r} keeps the state of {saved[0]}." if saved else ""
