import numpy as np
import pytest

from tests.tflite.random_graphs import residual_network
from tfmp.lowering.file_size import FileSize, content_bytes
from tfmp.tflite.writer.packing import unpack
from tfmp.tflite.writer.write_tflite import write_tflite


@pytest.mark.parametrize("seed", range(4))
def test_the_parts_of_a_file_are_its_size_but_for_what_every_file_has(seed):
    content = write_tflite(residual_network(seed))
    model = unpack(content)
    size = FileSize()
    for tensor in model.subgraphs[0].tensors:
        data, quantization = model.buffers[tensor.buffer].data, tensor.quantization
        if data is None:
            grid = None if quantization is None else (*quantization.scale, *quantization.zeroPoint)
            size.tensor(tensor.name.decode(), tensor.shape, grid=grid)
        else:
            size.constant(
                tensor.name.decode(), tensor.shape, scales=0 if quantization is None else len(quantization.scale)
            )
            size.content(tensor.buffer, len(data))
    for operator in model.subgraphs[0].operators:
        size.operator(operator.opcodeIndex, len(operator.inputs), plain=operator.builtinOptions is None)
    assert 0 < len(content) - size.total_bytes < 800


def test_equal_parts_count_once():
    size = FileSize()
    size.tensor("a", (1, 4), grid="g")
    once = size.shared_bytes
    size.tensor("a", (1, 4), grid="g")
    assert size.shared_bytes == once and size.own_bytes == 2 * 24
    size.tensor("b", (1, 5), grid="h")
    assert size.shared_bytes == 2 * once
    for _ in range(2):
        size.constant("kernel", (3,), scales=3)
        size.content("codes", 100)
        size.argument("sizes", 16)
    assert size.total_bytes == size.own_bytes + size.shared_bytes


def test_contents_start_at_multiples_of_16():
    assert [content_bytes(count) for count in (1, 4, 5, 20, 21)] == [4 + 16, 4 + 16, 4 + 32, 4 + 32, 4 + 48]
    assert np.all(np.diff([content_bytes(count) for count in range(100)]) >= 0)
