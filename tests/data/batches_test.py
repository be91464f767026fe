"""Data are converted to the inputs of the model."""

import numpy as np
import pytest
import tensorflow as tf

from tests.data.forms import X, Y, batches_of
from tfmp.data.batches import batches, first_samples, labelled_batches, named_batches, padded, parts_of, regrouped
from tfmp.data.model_inputs import ModelInputs
from tfmp.data.source import source_of
from tfmp.graph import Tensor, TensorRef

IMAGES = np.arange(60, dtype=np.uint8).reshape(10, 6)


def inputs_of(structure, **tensors):
    known = {name: Tensor(name, (None, *shape), dtype) for name, (shape, dtype) in tensors.items()}
    return ModelInputs(structure, known)


ONE = inputs_of(TensorRef("a"), a=((3,), "float32"))
A, B = TensorRef("a"), TensorRef("b")
SHAPES = {"a": ((3,), "float32"), "b": ((6,), "uint8")}
TWO, KEYED = inputs_of([A, B], **SHAPES), inputs_of({"left": A, "right": B}, **SHAPES)


def read(data, inputs):
    """The samples of every input over all batches, by name."""
    found = list(named_batches(data, inputs=inputs, batch_size=4))
    return {name: np.concatenate([batch[name] for batch in found]) for name in inputs.names}


@pytest.mark.parametrize(
    "data",
    [
        X,
        [X],
        (X,),
        {"a": X},
        {"a": X, "unused": np.zeros(10)},
        (X, Y),
        (X, Y, Y),
        ({"a": X}, Y),
        X[..., None],
        tf.data.Dataset.from_tensor_slices((X, Y)).batch(4),
        tf.data.Dataset.from_tensor_slices({"a": X}).batch(4),
        lambda: ([batch] for batch in batches_of(X)),
    ],
)
def test_one_input_with_or_without_targets(data):
    np.testing.assert_array_equal(read(data, ONE)["a"], X)


@pytest.mark.parametrize("inputs", [TWO, KEYED], ids=["list", "dict"])
@pytest.mark.parametrize(
    "data",
    [
        {"a": X, "b": IMAGES},
        ({"a": X, "b": IMAGES}, Y),
        tf.data.Dataset.from_tensor_slices(({"b": IMAGES, "a": X}, Y, Y)).batch(3),
        lambda: ({"a": a, "b": b} for a, b in batches_of((X, IMAGES))),
    ],
)
def test_several_inputs_by_name(data, inputs):
    found = read(data, inputs)
    np.testing.assert_array_equal(found["a"], X)
    np.testing.assert_array_equal(found["b"], IMAGES)
    assert found["b"].dtype == np.uint8, "as stored"


@pytest.mark.parametrize(
    "data",
    [
        [X, IMAGES],
        (X, IMAGES),
        ([X, IMAGES], Y),
        ((X, IMAGES), Y, Y),
        tf.data.Dataset.from_tensor_slices((X, IMAGES)).batch(4),
        tf.data.Dataset.from_tensor_slices(((X, IMAGES), Y)).batch(4),
        lambda: ([a, b] for a, b in batches_of((X, IMAGES))),
    ],
)
def test_a_tuple_is_two_inputs_where_the_model_has_two(data):
    found = read(data, TWO)
    np.testing.assert_array_equal(found["a"], X)
    np.testing.assert_array_equal(found["b"], IMAGES)
    with pytest.raises(ValueError, match="one array for each.*left, right, as a dict with these keys"):
        read(data, KEYED)


def test_batches_come_in_the_structure_of_the_model():
    nested = inputs_of({"left": (A, B)}, **SHAPES)
    for inputs, data in (
        (TWO, {"b": IMAGES, "a": X}),
        (KEYED, {"left": X, "right": IMAGES}),
        (nested, {"left": (X, IMAGES)}),
    ):
        arranged = inputs.arranged(next(named_batches(data, inputs=inputs)))
        assert type(arranged) is type(inputs.structure)
    assert set(arranged) == {"left"} and isinstance(arranged["left"], tuple)


def test_labelled_data():
    weights = np.linspace(0, 1, 10)
    for data, has_weights in (
        ((X, Y), False),
        ([X, Y.tolist()], False),
        ((X, Y, weights), True),
        ({"a": X, "b": 0}, None),
        (tf.data.Dataset.from_tensor_slices((X, Y, weights)).batch(4), True),
        (lambda: batches_of((X, Y)), False),
    ):
        if has_weights is None:
            with pytest.raises(ValueError, match=r"one entry per sample|must be \(inputs, targets\)"):
                list(labelled_batches(data, inputs=ONE))
            continue
        found = list(labelled_batches(data, inputs=ONE, batch_size=4))
        np.testing.assert_array_equal(np.concatenate([arrays["a"] for arrays, *_ in found]), X)
        np.testing.assert_array_equal(np.concatenate([targets for _, targets, _ in found]), Y)
        assert all((weights is not None) == has_weights for *_, weights in found)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (X, r"must be \(inputs, targets\).*Received: ndarray"),
        ((X,), r"Received: tuple of 1"),
        ((X, None), r"Received: tuple of 2"),
        ((X, Y, Y, Y), r"Received: tuple of 4"),
        ({"x": X, "y": Y}, "Received: dict with the keys x, y"),
        ([(X, Y), (X, Y)], "Received: list of 2. A list is read as one array per input.*np.concatenate"),
        ((X, Y + np.nan), "The targets of `data` must be finite"),
        ((X, Y, np.full(10, np.inf)), "The sample weights of `data` must be finite"),
        (lambda: iter([(X, Y[:3])]), r"equal length.*\(10, 3\), \(3,\)"),
        (tf.data.Dataset.from_tensor_slices(X).batch(4), r"or batches of these. Received: ndarray"),
    ],
)
def test_data_without_labels_that_fit(data, message):
    with pytest.raises(ValueError, match=message):
        list(labelled_batches(data, inputs=ONE))


@pytest.mark.parametrize(
    ("data", "inputs", "message"),
    [
        ([X, X], ONE, "one array for each of the 1 inputs.*list of 2. A list is read as one array per input"),
        ((X, X, X, X), ONE, "tuple of 4. A list is read"),
        (list(X), ONE, "list of 10.*samples with `np.stack`"),
        ([[X, IMAGES], [X, IMAGES]], TWO, "each of the 2 inputs.*list of 2"),
        ([X, IMAGES, Y], TWO, "each of the 2 inputs.*list of 3"),
        (X, TWO, "each input of the model, a, b. Received: a ndarray of 1 array of the shapes"),
        ({"a": X, "c": IMAGES}, TWO, "a, b. Received: the keys a, c"),
        (lambda: iter([[X, X]]), ONE, "input of the model, a. Received: a list of 2 arrays"),
        (X[:, :2], ONE, r"`data` for input `a` must have the shape \(samples, 3\). Received: \(10, 2\)"),
        (X[0], ONE, r"Received: \(3,\), without an axis of samples"),
        (tf.data.Dataset.from_tensor_slices(X), ONE, "without an axis of samples"),
        (X.astype(str), ONE, "must be numbers. Received: <U"),
        (X * 1j, ONE, "must be numbers. Received: complex"),
        (
            [X, X[:, [0, 1, 2, 0, 1, 2]]],
            TWO,
            "`b`, which is uint8, must be whole numbers from 0 to 255. Received: float32",
        ),
        ([X, IMAGES + 300.0], TWO, "whole numbers from 0 to 255"),
        (X * np.nan, ONE, "The inputs of `data` must be finite"),
        (X[:0], ONE, "at least one sample"),
        (tf.data.Dataset.from_tensor_slices(X).batch(2).take(0), ONE, "at least one sample"),
        (tf.data.Dataset.from_tensor_slices(X).batch(2).repeat(), ONE, "must have an end.*Give `data.take"),
        (lambda: iter(()), ONE, "return a new iterator each time"),
    ],
)
def test_data_that_do_not_fit_the_model(data, inputs, message):
    with pytest.raises(ValueError, match=message):
        list(named_batches(data, inputs=inputs))


def test_targets_are_not_looked_at_where_none_are_needed():
    assert read((X, Y + np.nan), ONE)["a"].shape == X.shape
    assert parts_of((X, None), "`data`", inputs=ONE, labelled=False)[1] is None


def test_whole_numbers_pass_as_integers():
    np.testing.assert_array_equal(read([X, IMAGES.astype(float)], TWO)["b"], IMAGES)


@pytest.mark.parametrize("size", [1, 3, 4, 7, 10, 64])
def test_samples_keep_their_order_in_batches_of_another_size(size):
    found = list(regrouped(({"a": a, "rest": (None, b)} for a, b in batches_of((X, Y), 4)), size))
    assert [len(batch["a"]) for batch in found] == [min(size, 10 - start) for start in range(0, 10, size)]
    np.testing.assert_array_equal(np.concatenate([batch["a"] for batch in found]), X)
    np.testing.assert_array_equal(np.concatenate([batch["rest"][1] for batch in found]), Y)
    np.testing.assert_array_equal(first_samples(batches_of(X, 4), size), X[:size])


def test_small_batches_are_joined_and_those_of_a_fixed_batch_are_whole():
    def sizes(data, inputs, size):
        return [len(batch["a"]) for batch in named_batches(data, inputs=inputs, batch_size=size)]

    fixed = ModelInputs(A, {"a": Tensor("a", (4, 3))})
    for data in (lambda: batches_of(X, 1), tf.data.Dataset.from_tensor_slices(X).batch(3)):
        assert sizes(data, ONE, 1) == [len(batch) for batch in source_of(data, "").elements(1)]
        assert sizes(data, ONE, 64) == [10] and sizes(data, ONE, 6) == [6, 4]
    assert sizes(lambda: iter([X]), ONE, 4) == [10], "large ones stay"
    for data in (X, lambda: batches_of(X, 1), lambda: iter([X])):
        assert sizes(data, fixed, 64) == [4, 4, 2]


def test_the_last_batch_is_padded_with_its_last_sample():
    whole, count = padded({"a": X[:3]}, 5)
    assert count == 3
    np.testing.assert_array_equal(whole["a"], X[[0, 1, 2, 2, 2]])
    same, count = padded(X, 10)
    assert same is X and count == 10
    assert ONE.batch_size is None


def test_a_fixed_batch_is_that_of_the_model():
    assert ModelInputs(A, {"a": Tensor("a", (32, 3))}).batch_size == 32
    assert len(list(batches(X, graph=type("Graph", (), {"inputs": A, "tensors": ONE.tensors})))) == 1
