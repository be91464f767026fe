"""The planned arena is the one that the interpreter of microcontrollers uses."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tflite.micro_check import needs_micro_runtime
from tests.tflite.random_graphs import residual_network
from tfmp.graph.targets import MICRO
from tfmp.lowering.arena import Arena, ArenaBuffer, greedy_plan_bytes
from tfmp.lowering.write_operations import write_operations
from tfmp.tflite.micro_interpreter import MicroInterpreter
from tfmp.tflite.writer.write_tflite import write_tflite

buffers = st.lists(
    st.builds(
        lambda size, first, length: ArenaBuffer(16 * size, first, first + length),
        st.integers(1, 9),
        st.integers(0, 9),
        st.integers(0, 4),
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=50)
@given(buffers)
def test_a_plan_holds_what_is_in_use_at_once(buffers):
    needed = max(sum(each.size for each in buffers if each.first <= time <= each.last) for time in range(14))
    assert needed <= greedy_plan_bytes(buffers) <= sum(each.size for each in buffers)


def test_the_largest_buffer_is_placed_first():
    # The third fits only above both others, though 48 bytes would do.
    plan = [ArenaBuffer(16, 0, 1), ArenaBuffer(32, 1, 2), ArenaBuffer(32, 2, 3)]
    assert greedy_plan_bytes(plan) == 64
    assert greedy_plan_bytes([ArenaBuffer(16, 0, 0), ArenaBuffer(32, 1, 1)]) == 32


def encoded(graph, encoding):
    """The graph with its kernels as INT8, as indices into tables, or as INT4 where they fit."""

    def with_encoding(operation):
        kernel = operation.constants.get("kernel")
        if kernel is None or encoding == "int8":
            return operation
        fits = operation.kind in MICRO.packed_bits and -8 <= kernel.min() and kernel.max() < 8
        attributes = {"index_bits": 7} if encoding == "indices" else {"container_bits": 4} if fits else {}
        return dataclasses.replace(operation, attributes={**operation.attributes, **attributes})

    return dataclasses.replace(graph, operations=tuple(map(with_encoding, graph.operations)))


@needs_micro_runtime
@pytest.mark.parametrize("encoding", ["int8", "indices", "int4"])
@pytest.mark.parametrize("number_type", ["int8", "float32"])
def test_the_arena_of_a_network(encoding, number_type):
    for seed in range(4):
        graph, types = (
            encoded(residual_network(seed), encoding),
            {"input_type": number_type, "output_type": number_type},
        )
        arena = Arena()
        inputs, outputs = write_operations(graph, arena, **types, target=MICRO)
        arena.finish(inputs.values(), outputs.values())
        used = MicroInterpreter(write_tflite(graph, **types, target=MICRO)).arena_bytes
        assert used <= arena.total_bytes <= 1.02 * used
        assert max(step.num_bytes for step in arena.steps()) + arena.persistent_bytes <= arena.total_bytes
