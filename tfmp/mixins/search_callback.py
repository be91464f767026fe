"""What a search does when `fit` calls it."""


class SearchCallbackMixin:
    """The hooks of a Keras callback, over what a search does by itself.

    A class of a framework adds `backup_variables()`, `resume_at(epoch)`, `hold_logits(are_held)` and
    `selection_step()`.
    """

    def load_backup(self):
        """Takes up the state behind the last complete epoch; returns how many are complete, None without a backup."""
        if self._backup is None:
            return None
        variables = self.backup_variables()
        found = self._backup.load([variable.shape for variable in variables], identity=self._identity())
        if found is None:
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
        data = None if self._alternation is None else self._alternation.data
        return {
            "layers": list(self._layers),
            "costs": [penalty.priced.cost.name for penalty in self.penalties],
            "limits": [penalty.limit for penalty in self.penalties],
            "eta": self.multiplier.value if self.budget is None else None,
            "selection_data": None if data is None else {"every": data.every, "seed": data.seed},
            "freeze_above": None if self._decided is None else self._decided.threshold,
        }

    def on_train_begin(self, logs=None):
        epoch = self.load_backup()
        if epoch is not None:
            self.resume_at(epoch)
        self.hold_logits(self._alternation is not None)
        if self._alternation is not None:
            self._alternation.begin(self.selection_step)

    def on_epoch_begin(self, epoch, logs=None):
        self.set_temperature(epoch, self.params.get("epochs", 1))
        if self._alternation is not None:
            self._alternation.begin_epoch()

    def on_train_batch_end(self, batch, logs=None):
        if self._alternation is not None:
            self._alternation.after_batch(batch)
        costs = self._step()
        if logs is not None:
            logs.update(costs)

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs.update(self.summary())
        if self._backup is not None:
            variables = [variable.numpy() for variable in self.backup_variables()]
            self._backup.save(epoch + 1, variables, identity=self._identity(), state=self._state())

    def on_train_end(self, logs=None):
        self.hold_logits(False)
        if self._backup is not None:
            self.resume_at(None)  # the next `fit` starts where it is told
