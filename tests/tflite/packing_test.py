import flatbuffers
import numpy as np
import pytest

from tests.tflite.random_graphs import residual_network
from tfmp.tflite.writer.packing import pack, unpack
from tfmp.tflite.writer.write_tflite import write_tflite


def fields(entry):
    """Everything in an object of the schema, tables and vectors as plain values."""
    if isinstance(entry, np.ndarray):
        return entry.tolist()
    if isinstance(entry, list):
        return [fields(each) for each in entry]
    return {name: fields(value) for name, value in vars(entry).items()} if hasattr(entry, "__dict__") else entry


@pytest.mark.parametrize("seed", range(3))
def test_what_is_stored_once_is_read_everywhere(seed):
    content = write_tflite(residual_network(seed))
    plain = flatbuffers.Builder(1024)
    plain.Finish(unpack(content).Pack(plain), file_identifier=b"TFL3")
    assert fields(unpack(bytes(plain.Output()))) == fields(unpack(content)) == fields(unpack(pack(unpack(content))))
    assert len(content) < 0.9 * len(plain.Output())
    model = unpack(content)
    assert pack(model) == pack(model)
