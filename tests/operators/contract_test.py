"""The records of the table against what the kinds compute."""

import collections
import math
import re

import numpy as np
import pytest

from tests.operators.values_test import CASES
from tfmp.graph import Layer
from tfmp.operators import MOVES, NUMBERS, OPERATIONS, QUANTIZES, STORED, TABLE, operator_of
from tfmp.operators.float_layer import KIND
from tfmp.ops.integer import COMPUTATIONS

IDS = [f"{index}-{case[0]}" for index, case in enumerate(CASES)]
EVERY_CASE = pytest.mark.parametrize(("kind", "attributes", "compute", "shapes"), CASES, ids=IDS)


def computed(kind, attributes, compute, inputs):
    """Inputs in float64 to the output, whose shape Keras tells."""
    arrays = [array.astype(np.float32) for array in inputs]
    shape = tuple(compute(arrays if len(arrays) > 1 else arrays[0]).shape)
    return TABLE[kind].values(inputs, attributes, shape)


def numbers(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(scale=3.0, size=shape) for shape in shapes]


@pytest.mark.parametrize("kind", TABLE)
def test_a_record_is_consistent(kind):
    operator = TABLE[kind]
    assert operator.kind == kind and re.fullmatch(r"[a-z][a-z0-9_]*", kind)
    assert operator.reads in (MOVES, NUMBERS, QUANTIZES, STORED)
    assert (operator_of(Layer("layer", kind)) is operator) == (operator.lower is not None)
    assert operator.lower is not None or operator.parts
    assert (operator.kernel is not None) == (operator.check is not None) <= (operator.reads == QUANTIZES)
    assert not operator.needed or operator.values is not None
    assert operator.forms.keys() <= {name for each in TABLE.values() for name in each.classes}
    assert {*operator.instead_of.values()} <= operator.classes.keys()


def test_every_integer_operation_has_a_computation():
    kinds = {kind: record.kind for kind, record in OPERATIONS.items() if kind != KIND}  # which Keras computes
    assert kinds == {kind: kind for kind in COMPUTATIONS}
    assert not [kind for kind, record in OPERATIONS.items() if record.compute is not None]


def test_a_layer_without_an_integer_form_has_one_substitute():
    names = collections.Counter(name for operator in TABLE.values() for name in operator.instead_of)
    assert names.most_common(1)[0][1] == 1


@EVERY_CASE
def test_a_sign_is_kept_where_the_record_says_so(kind, attributes, compute, shapes):
    operator, layer = TABLE[kind], Layer("layer", kind, attributes=attributes)
    inputs = numbers(shapes)
    if operator.non_negative(layer, False):
        assert computed(kind, attributes, compute, inputs).min() >= 0
    if operator.non_negative(layer, True):
        assert computed(kind, attributes, compute, [np.abs(array) for array in inputs]).min() >= 0


@EVERY_CASE
def test_what_moves_makes_no_new_values(kind, attributes, compute, shapes):
    operator, inputs = TABLE[kind], numbers(shapes)
    output = computed(kind, attributes, compute, inputs)
    if operator.reads == MOVES and not operator.each_value:
        assert np.isin(output, [0.0, *np.concatenate([array.ravel() for array in inputs])]).all()
    if operator.keeps_values:
        np.testing.assert_array_equal(output.ravel(), inputs[0].ravel())


@EVERY_CASE
def test_each_value_depends_on_that_at_its_place(kind, attributes, compute, shapes):
    if not TABLE[kind].each_value or kind == "softmax":  # which scales them together
        return
    (before,) = numbers(shapes)
    after = before.copy()
    after[0, 1, 2, 3] += 1.0
    changed = computed(kind, attributes, compute, [before]) != computed(kind, attributes, compute, [after])
    assert set(map(tuple, np.argwhere(changed))) <= {(0, 1, 2, 3)}


@EVERY_CASE
def test_clips_and_affine_maps_are_the_values(kind, attributes, compute, shapes):
    operator, layer, inputs = TABLE[kind], Layer("layer", kind, attributes=attributes), numbers(shapes)
    output = computed(kind, attributes, compute, inputs)
    low, high = operator.clip(layer) if operator.clip else (-math.inf, math.inf)
    if operator.affine_map is not None:
        np.testing.assert_allclose(output, np.clip(operator.affine_map(layer)(inputs[0]), low, high))
    elif operator.clip is not None:
        np.testing.assert_array_equal(output, np.clip(inputs[0], low, high))


@EVERY_CASE
def test_fixed_grids_hold_every_value(kind, attributes, compute, shapes):
    grid, inputs = TABLE[kind].grid, numbers(shapes)
    if grid is not None:
        output = computed(kind, attributes, compute, inputs) / grid.scale
        assert grid.low <= output.min() and output.max() <= grid.high + 1


@pytest.mark.parametrize("kind", [kind for kind, operator in TABLE.items() if operator.pairwise])
def test_many_inputs_are_pairs_of_two(kind):
    values, (first, second, third) = TABLE[kind].values, numbers([(2, 3, 4)] * 3)
    in_pairs = values([values([first, second], {}, (2, 3, 4)), third], {}, (2, 3, 4))
    np.testing.assert_allclose(values([first, second, third], {}, (2, 3, 4)), in_pairs)
