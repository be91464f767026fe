import types

import numpy as np
import pytest

from recipes.epoch_records import EpochRecords


def records_of(tmp_path, probabilities, epochs=3):
    search = types.SimpleNamespace(probabilities=lambda: {"conv": [np.array(probabilities), np.ones(1)]})
    records = EpochRecords(search, tmp_path / "run-width=0.5-seed0")
    records.set_params({"epochs": epochs})
    records.on_train_begin()
    return records


def train(records, epochs, probabilities):
    for epoch in epochs:
        records.on_epoch_begin(epoch)
        probabilities[:] = [epoch + 1.0]
        records.on_epoch_end(epoch, {"loss": 10.0 - epoch})


def test_records_of_a_search_that_goes_on_are_those_of_an_unbroken_one(tmp_path):
    probabilities = [0.0]
    train(records_of(tmp_path, probabilities), [0, 1], probabilities)
    later = records_of(tmp_path, probabilities)
    train(later, [1, 2], probabilities)  # killed before the second epoch was in the backup
    later.on_train_end()
    assert later.history == {"loss": [10.0, 9.0, 8.0]}
    assert later.evolution == {epoch: {"conv": [[float(epoch)], [1.0]]} for epoch in range(4)}


def test_a_search_from_the_beginning_forgets_what_was_there(tmp_path):
    probabilities = [0.0]
    train(records_of(tmp_path, probabilities), [0, 1, 2], probabilities)
    probabilities[:] = [5.0]
    restarted = records_of(tmp_path, probabilities)
    train(restarted, [0], probabilities)
    assert list(restarted.evolution) == [0, 1] and restarted.evolution[0] == {"conv": [[5.0], [1.0]]}


def test_missing_records_are_an_error(tmp_path):
    with pytest.raises(
        ValueError, match="has 2 epochs. Expected as many in run-width=0.5-seed0.epochs.json, received 0"
    ):
        records_of(tmp_path, [0.0]).on_epoch_begin(2)
    with pytest.raises(ValueError, match="has 3 epochs"):
        records_of(tmp_path, [0.0]).on_train_end()
