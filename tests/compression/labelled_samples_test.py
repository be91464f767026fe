import keras
import numpy as np
import pytest

from tfmp.compression.labelled_samples import LabelledSamples


@pytest.fixture(scope="module")
def model():
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(3)])


X, Y = np.arange(50, dtype=np.float32)[:, None], np.arange(50) % 3
TEST = np.arange(100, 111, dtype=np.float32)[:, None], np.zeros(11, int)


def values(part):
    return set(np.asarray(part[0])[:, 0].tolist())


def test_without_test_samples_a_fifth_is_held_out(model):
    samples = LabelledSamples.of((X, Y), model)
    assert len(samples.validation[1]) == 10 and samples.test is samples.validation and not samples.has_test
    assert values(samples.train) | values(samples.validation) == set(range(50))
    assert not values(samples.train) & values(samples.validation)
    for part in (samples.train, samples.validation):
        assert np.array_equal(np.asarray(part[0])[:, 0] % 3, part[1]), "labels stay with their inputs"


@pytest.mark.parametrize("data", [((X, Y), TEST), dict(x_train=X, y_train=Y, x_test=TEST[0], y_test=TEST[1])])
def test_half_of_the_test_samples_choose(model, data):
    samples = LabelledSamples.of(data, model)
    assert values(samples.train) == set(range(50)) and samples.has_test
    assert sorted(map(len, (samples.validation[1], samples.test[1]))) == [5, 6]
    assert values(samples.validation) | values(samples.test) == values(TEST)


def test_the_seed_determines_the_parts(model):
    first, again, other = (LabelledSamples.of((X, Y), model, seed=seed) for seed in (0, 0, 1))
    assert values(first.validation) == values(again.validation) != values(other.validation)
    assert np.array_equal(first.inputs(5), first.train[0][:5])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"x_train": X}, "Missing: y_train"),
        ((X, Y, Y), "`data` must be"),
        (X, "`data` must be"),
        ((X[:9], Y[:9]), "Expected 10 samples or more"),
        ((X, Y + 1), "y_train"),
        (((X, Y), (X[:1], Y[:1])), "two or more test samples"),
    ],
)
def test_wrong_data_are_refused(model, data, message):
    with pytest.raises((ValueError, TypeError), match=message):
        LabelledSamples.of(data, model)
