"""A tuner loads the models of its folder; those with code only if it is allowed."""

import keras
import pytest

from tests.tuner import tiny_experiment as tiny
from tfmp.tuner import BudgetTuner, TuningResults


def test_a_network_with_code_is_tuned_only_when_it_is_trusted(tmp_path):
    model = tiny.build()
    outputs = keras.layers.Lambda(lambda x: 2 * x, name="twice")(model.output)
    hypermodel = tiny.hypermodel(keras.Model(model.input, outputs), strategies=["uniform"], finetune_epochs=0)
    tuner = BudgetTuner(hypermodel, directory=tmp_path, max_trials=1, safe_mode=False)
    tiny.search(tuner)
    (record,) = tuner.records()
    assert record.is_completed, record.reason
    assert tuner.model(record.trial_id).get_layer("twice").function(3) == 6
    with pytest.raises(ValueError, match=r"`twice` \(Lambda\) holds a Python function as code.*safe_mode=False"):
        TuningResults(tmp_path / "budgets").model(record.trial_id)
    with pytest.raises(ValueError, match="`safe_mode` must be True or False. Received: 'no'"):
        TuningResults(tmp_path / "budgets", safe_mode="no")
