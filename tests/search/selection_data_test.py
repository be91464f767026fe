import numpy as np
import pytest
import tensorflow as tf

from tfmp.search.selection_data import SelectionData

X, Y = np.arange(10.0)[:, None], np.arange(10)


class Batches:
    """What a `PyDataset` is, as far as it is needed."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError(index)
        return np.full((2, 1), index), np.full(2, index)


def inputs(data, positions):
    return [np.asarray(data.batch(position)[0]).ravel().astype(int).tolist() for position in positions]


def test_every_pass_takes_every_sample_once_in_an_order_of_its_own():
    data = SelectionData((X, Y), batch_size=5, seed=3)
    found = inputs(data, range(6))
    passes = [sum(found[start : start + 2], []) for start in (0, 2, 4)]
    assert all(sorted(taken) == list(range(10)) for taken in passes)
    assert len({tuple(taken) for taken in passes}) == 3
    x, y, weight = data.batch(0)
    np.testing.assert_array_equal(x.ravel(), y)
    assert weight is None


def test_batches_follow_from_seed_and_position_alone():
    first, again, other = (SelectionData((X, Y), batch_size=4, seed=seed) for seed in (3, 3, 4))
    in_order = inputs(first, range(7))
    assert [inputs(again, [position])[0] for position in reversed(range(7))] == in_order[::-1]
    assert inputs(other, range(7)) != in_order
    assert all(len(batch) == 4 for batch in in_order), "what does not fill a batch waits for another pass"


def test_structures_and_weights_are_sliced_together():
    data = SelectionData(({"a": X, "b": X + 100}, Y, Y / 10), batch_size=32)
    x, y, weight = data.batch(2)
    np.testing.assert_array_equal(x["b"] - x["a"], 100)
    np.testing.assert_array_equal(weight, y / 10)
    assert sorted(y) == list(range(10)), "a batch is no larger than the data"


def test_a_data_set_goes_on_where_another_stopped():
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(10, seed=1, reshuffle_each_iteration=False).batch(4)
    in_order = inputs(SelectionData(dataset), range(8))
    assert sorted(sum(in_order[:3], [])) == list(range(10)) and in_order[3:6] == in_order[:3]
    assert inputs(SelectionData(dataset), range(5, 8)) == in_order[5:]

    def function():
        yield from dataset.as_numpy_iterator()

    assert inputs(SelectionData(function), [*range(8), 2, 6]) == [*in_order, in_order[2], in_order[6]]


def test_batches_with_an_index_are_each_taken_once_a_pass():
    data = SelectionData(Batches(4), seed=1)
    found = inputs(data, range(8))
    assert all(len(set(batch)) == 1 for batch in found)
    assert sorted(batch[0] for batch in found[:4]) == sorted(batch[0] for batch in found[4:]) == [0, 1, 2, 3]
    assert inputs(SelectionData(Batches(4), seed=1), [6]) == [found[6]]


def test_data_are_taken_as_they_are_or_made():
    data = SelectionData((X, Y), every=2)
    assert SelectionData.of(data) is data
    assert SelectionData.of((X, Y)).every == 1


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (X, {}, "Received: ndarray"),
        ((X,), {}, "Received: tuple of 1"),
        ([(X, Y), (X, Y)], {}, "A list is read as one array per input"),
        ((X, Y[:5]), {}, r"equal length.*\(10, 1\), \(5,\)"),
        ((X, 3.0), {}, "one entry per sample"),
        ((X[:0], Y[:0]), {}, "at least one"),
        ((X, Y), {"every": 0}, "`every`"),
        ((X, Y), {"batch_size": 2.5}, "`batch_size`"),
    ],
    ids=["array", "inputs alone", "list of batches", "lengths", "scalar", "empty", "every", "batch_size"],
)
def test_bad_data(data, options, message):
    with pytest.raises(ValueError, match=message):
        SelectionData(data, **options)


def test_bad_batches():
    with pytest.raises(TypeError, match="`selection_data` must be an array.*Received: 3"):
        SelectionData(3)
    with pytest.raises(TypeError, match="can be read once only"):
        SelectionData(iter([(X, Y)]))
    with pytest.raises(ValueError, match="The targets of `selection_data` must be finite"):
        SelectionData(lambda: [(X, Y + np.nan)]).batch(0)
    with pytest.raises(ValueError, match="`selection_data` must be .inputs, targets.*Received: ndarray"):
        SelectionData(tf.data.Dataset.from_tensor_slices(X).batch(2)).batch(0)
    with pytest.raises(ValueError, match="at least one batch"):
        SelectionData(tf.data.Dataset.from_tensor_slices((X, Y)).batch(2).take(0)).batch(0)
