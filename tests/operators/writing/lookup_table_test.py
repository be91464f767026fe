"""Kernels as indices into tables are the same kernels, in NumPy and in the runtime of microcontrollers."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lowering.arena_test import encoded
from tests.tflite.micro_check import needs_micro_runtime
from tests.tflite.random_graphs import residual_network
from tfmp.graph.open_values import OpenArray
from tfmp.graph.targets import MICRO
from tfmp.operators.writing.lookup_table import DECODE, lookup_table, open_lookup_table
from tfmp.tflite.micro_interpreter import MicroInterpreter
from tfmp.tflite.writer.packing import unpack
from tfmp.tflite.writer.write_tflite import write_tflite


def decoded(table, shape, axis):
    """Reads indices bit by bit, as text, and looks them up one by one."""
    bits, stride = int(table.table[5]) & 7, int(table.table[6])
    text = "".join(f"{byte:08b}" for byte in table.indices)
    codes = table.table[16:].view(np.int8)
    values = []
    for number, position in enumerate(np.ndindex(shape)):
        index = int(text[number * bits : (number + 1) * bits], 2)
        values.append(codes[position[axis] * stride + index])
    return np.array(values, np.int8).reshape(shape)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([(3, 2, 2, 5), (1, 3, 3, 7), (4, 9), (1, 1, 1, 1)]),
    st.integers(1, 7),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99),
)
def test_codes_come_back(shape, bits, last, negated, seed):
    rng, axis = np.random.default_rng(seed), len(shape) - 1 if last else 0
    codes = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), shape)
    if negated:
        codes *= rng.choice([-1, 1], [size if number == axis else 1 for number, size in enumerate(shape)])
    codes = codes.astype(np.int8)
    table = lookup_table(codes, axis, bits)
    np.testing.assert_array_equal(decoded(table, shape, axis), codes)
    assert table.indices.size == -(-codes.size * table.bits // 8)
    if not negated:
        assert table.bits <= bits


def test_channels_with_other_codes_have_tables_of_their_own():
    codes = np.array([[-4, 0, 3, 1] * 99, [40, 0, -30, 10] * 99, [4, 0, -3, -1] * 99], np.int8)
    several = lookup_table(codes, 0, 3)
    assert (several.bits, several.table.size) == (2, 16 + 3 * 4)
    one = lookup_table(codes[:1], 0, 3)
    assert (one.bits, one.table.size, one.table[6]) == (3, 16 + 8, 0)
    long = lookup_table(np.tile(codes[:1], 9), 0, 3)  # a shorter index saves more than a table of its own takes
    assert (long.bits, long.table.size) == (2, 16 + 4)


@pytest.mark.parametrize(
    ("bits", "levels"), [(1, [-1, 1]), (2, [-2, -1, 0, 1]), (4, range(-8, 8)), (2, [-3, -1, 1, 3]), (7, range(-64, 64))]
)
def test_kernels_of_equal_bits_share_a_table_whichever_codes_occur(bits, levels):
    levels = np.array(levels, np.int8)
    some, others = (lookup_table(np.resize(part, (3, 50)), 0, bits) for part in (levels[:-1], levels[1:]))
    np.testing.assert_array_equal(some.table, others.table)
    np.testing.assert_array_equal(some.table[16:].view(np.int8), levels)
    beyond = lookup_table(np.resize(np.append(levels[1:], levels[-1] + 1), (3, 50)), 0, bits)
    assert not np.array_equal(beyond.table, some.table)


@pytest.mark.parametrize("bits", range(1, 8))
def test_a_kernel_of_unknown_codes_takes_as_many_bytes(bits):
    codes = np.tile(np.arange(-(2 ** (bits - 1)), 2 ** (bits - 1), dtype=np.int8), (3, 5))
    known, unknown = lookup_table(codes, 0, bits), open_lookup_table(OpenArray(codes.shape, np.int8, "kernel"), bits)
    assert (unknown.indices.size, unknown.table.size) == (known.indices.size, known.table.size)


def with_few_codes(graph):
    """The graph with kernels of 16 different codes."""

    def coarse(operation):
        constants = dict(operation.constants)
        if "kernel" in constants:
            constants["kernel"] = (constants["kernel"] // 16 * 16).clip(-112, 112)
        return dataclasses.replace(operation, constants=constants)

    return dataclasses.replace(graph, operations=tuple(map(coarse, graph.operations)))


@needs_micro_runtime
def test_the_runtime_decodes_kernels_of_every_kind():
    seen = set()
    for seed in range(6):
        graph, types = with_few_codes(residual_network(seed)), {"input_type": "int8", "output_type": "int8"}
        plain = MicroInterpreter(write_tflite(graph, **types, target=MICRO))
        small = write_tflite(encoded(graph, "indices"), **types, target=MICRO)
        inputs = np.random.default_rng(seed).integers(-128, 128, (4, *plain.inputs["image"].shape[1:]), np.int8)
        expected, found = plain.codes(inputs), MicroInterpreter(small).codes(inputs)
        assert expected.keys() == found.keys()
        for name, codes in expected.items():
            np.testing.assert_array_equal(found[name], codes)
        model = unpack(small)
        custom = {number for number, code in enumerate(model.operatorCodes) if code.customCode == DECODE.encode()}
        indices = [operator.inputs[0] for operator in model.subgraphs[0].operators if operator.opcodeIndex in custom]
        seen.update(model.subgraphs[0].tensors[index].name.decode().split("_")[0] for index in indices)
    assert seen == {"conv2d", "depthwise", "dense"}
