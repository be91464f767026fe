import pytest

from tfmp.tuner import new_oracle


def test_hyperband_has_epochs_of_its_own():
    assert new_oracle("hyperband", "val_accuracy").max_epochs == 100
    assert new_oracle("hyperband", "val_accuracy", max_epochs=6).max_epochs == 6


@pytest.mark.parametrize("name", ["grid", "random", "bayesian"])
def test_the_number_of_trials_is_one_or_more(name):
    assert new_oracle(name, "val_accuracy").max_trials == (None if name == "grid" else 10)
    assert new_oracle(name, "val_accuracy", max_trials=1).max_trials == 1
    for wrong in (0, -1, 1.5):
        with pytest.raises(ValueError, match=f"must be a positive integer. Received: {wrong}"):
            new_oracle(name, "val_accuracy", max_trials=wrong)


def test_names():
    with pytest.raises(ValueError, match="must be one of 'grid', 'random'.*Received: 'best'"):
        new_oracle("best", "val_accuracy")
    with pytest.raises(ValueError, match="Omit `max_trials`"):
        new_oracle("hyperband", "val_accuracy", max_trials=3)
