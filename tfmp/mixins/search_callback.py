"""The callback's hooks that `fit` calls."""

import math

import numpy as np

from tfmp.files.array_chunks import is_array
from tfmp.files.finite_values import NotFiniteError, check_finite, names_not_finite
from tfmp.files.run_identity import array_digest, described
from tfmp.mixins.search_identity import at_start, search_identity

_OF_FIT = ("steps", "epochs")  # of its identity a search knows these within `fit` alone


class SearchCallbackMixin:
    """The hooks of a Keras callback, over what a search does by itself.

    A class of a framework adds `named_variables()`, `start_variables()`, `backup_variables()`, `resume_at(epoch)`,
    `hold_logits(are_held)`, `selection_step()` and `input_quantizer_path(layer)`.
    """

    def load_backup(self):
        """Takes up the state after the last complete epoch; returns how many are complete, None without a backup."""
        if self._backup is None:
            return None
        variables = self.backup_variables()
        self._run_identity = self._identity()
        found = self._backup.load(
            [variable.shape for variable in variables],
            identity=self._run_identity,
            epochs=(self.params or {}).get("epochs"),
            others=() if self.params else _OF_FIT,
        )
        if found is None:
            self._run_identity = self._identity()  # of what is there now, whatever a removed backup began with
            return None
        epoch, values, state = found
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        self._restore(state["multipliers"])
        if self._alternation is not None:
            self._alternation.training_steps = state["training_steps"]
        if self._decided is not None:
            self._decided.restore(state["decided"])
        self._write_prices(self.probabilities())
        return epoch

    def _state(self):
        """What a backup holds beside variables; JSON."""
        return {
            "multipliers": [multiplier.state() for multiplier in self._multipliers],
            "training_steps": None if self._alternation is None else self._alternation.training_steps,
            "decided": None if self._decided is None else self._decided.state(),
        }

    def _identity(self):
        """What a backup must share with the search that takes it up."""

        def weights():
            return array_digest(*(variable.numpy() for variable in self.start_variables()))

        folder, model, optimizer = self._backup.folder, self.model, self.model.optimizer
        is_resumed = bool(self._backup.epochs())
        data = None if self._alternation is None else self._alternation.data
        multipliers = zip(self._multipliers, self._multiplier_starts, strict=True)
        identity = {
            **search_identity(self, self.penalties, multipliers, data),
            "optimizer": at_start(optimizer, folder, lambda: described(optimizer), is_resumed=is_resumed),
            "freeze_above": None if self._decided is None else self._decided.threshold,
            "weights": at_start(model, folder, weights, is_resumed=is_resumed),
        }
        is_drawn = any(getattr(layer, "relaxation", "") == "gumbel" for layer in self._layers.values())
        if is_drawn or self._decided is not None:
            identity["names"] = list(self._layers)  # by which noise is drawn and decisions are kept
        if any(selector.temperature is not None for selector in self._selectors()):
            identity["temperature"] = list(self.temperature)
            if self.params and self.temperature[0] != self.temperature[1]:
                identity["epochs"] = self.params.get("epochs")
        return identity

    def on_train_begin(self, logs=None):
        self._check_data()
        epoch = self.load_backup()
        wrong = next(names_not_finite(self.named_variables()), None)
        if wrong is not None:
            raise NotFiniteError(
                f"The search would start from NaN or infinite values, in the variable `{wrong}`. Build the model anew, "
                "or load weights that are finite."
            )
        if epoch is not None:
            self.resume_at(epoch)
        self.hold_logits(self._alternation is not None)
        if self._alternation is not None:
            self._alternation.begin(self.selection_step)

    def _check_data(self):
        """Refuses data that are not finite, as far as they are given as `identity`."""
        for name, value in self.identity.items():
            for array in value if isinstance(value, list | tuple) else (value,):
                if is_array(array):
                    check_finite(f"identity[{name!r}]", array)
                    self._has_seen_data = True

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self.set_temperature(epoch, self.params.get("epochs", 1))
        if self._alternation is not None:
            self._alternation.begin_epoch()

    def on_train_batch_end(self, batch, logs=None):
        loss = 0.0 if logs is None else float(logs.get("loss", 0.0))
        if not math.isfinite(loss):
            self._end(f"The loss is {loss} in batch {batch + 1} of epoch {self._epoch + 1}.")
        if self._alternation is not None:
            try:
                self._alternation.after_batch(batch)
            except ValueError:
                self.on_train_end()
                raise
        costs = self._step()
        if not all(map(math.isfinite, costs.values())):
            self._end(f"The logits are not finite after batch {batch + 1} of epoch {self._epoch + 1}.")
        if logs is not None:
            logs.update(costs)

    def on_epoch_end(self, epoch, logs=None):
        wrong = next(names_not_finite(self.named_variables()), None)
        if wrong is not None:
            self._end(f"A variable is not finite at the end of epoch {epoch + 1}.")
        if logs is not None:
            logs.update(self.summary())
        if self._backup is not None:
            variables = [np.asarray(variable.numpy()) for variable in self.backup_variables()]
            identity = self._run_identity or self._identity()
            self._backup.save(epoch + 1, variables, identity=identity, state=self._state())

    def _end(self, problem):
        """Ends a training whose state is no longer finite; nothing of it is saved."""
        self.on_train_end()
        wrong = list(names_not_finite(self.named_variables()))
        where = f" The first variable that holds NaN or infinite values is `{wrong[0]}`." if wrong else ""
        saved = self._backup.epochs() if self._backup is not None else []
        kept = f" The backup keeps the state of {saved[0]}, to go on from." if saved else ""
        raise NotFiniteError(f"{problem}{where} {self._cause(wrong)}{kept}")

    def _cause(self, wrong):
        """What made variables of these names NaN or infinite, as far as that can be told."""
        graph = self.penalties[0].priced.graph
        first_layers = (call.layer for call in graph.calls if {*call.inputs} & {*graph.input_names})
        of_inputs = tuple(map(self.input_quantizer_path, first_layers))
        seen = next((name for name in wrong if name.startswith(of_inputs)), None)
        if seen is not None:  # a statistic that nothing but the inputs moves
            return f"The inputs of the model hold such values, as `{seen}` shows: remove them from the data."
        diverged = "the training diverged: lower the learning rate, or clip gradients"
        if self._has_seen_data:
            return f"The data given as `identity` are finite, so {diverged}."
        return (
            "Check the data of `fit` first, which a callback cannot see: `np.isfinite(x).all()`, and y; or give them "
            f"as `identity={{'x': x, 'y': y}}`. If they are finite, {diverged}."
        )

    def on_train_end(self, logs=None):
        self.hold_logits(False)
        if self._backup is not None:
            self.resume_at(None)  # the next `fit` starts where it is told
            self._backup.release()
