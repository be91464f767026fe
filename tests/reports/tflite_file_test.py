import dataclasses

import numpy as np
import pytest

from tfmp.reports import FileLayer, FileTensor, StoredTensor, TFLiteFile

FILE = TFLiteFile(
    "model.tflite",
    "network",
    1000,
    "small",
    "0.1.0",
    {"image": FileTensor((1, 8, 8, 3), "uint8", 0.5, 128)},
    {"scores": FileTensor((1, 2), "float32")},
    (FileLayer("conv", (3, 4), "INT4", 560), FileLayer("dense", (5, 8), "INT8", 170), FileLayer("bn", None, "", 9)),
    (
        StoredTensor("conv/kernel", "weights", "INT4", (8, 3, 3, 3), 500, 50),
        StoredTensor("block/dense/kernel", "weights", "INT8", (4, 30), 120, 40),
        StoredTensor("conv/bias", "biases", "INT32", (8,), 10, 0),
        StoredTensor("shape", "other constants", "INT32", (4,), 16, 0),
    ),
    64,
    ("cat", "dog"),
)


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (FileTensor((1,), "float32"), "float32"),
        (FileTensor((1,), "uint8", 0.25, 0), "uint8: value = (code - 0) * 0.25"),
        (FileTensor((1,), "int8", float(np.float32(1 / 255)), -128), "int8: value = (code + 128) * 0.00392156886"),
    ],
)
def test_words(tensor, words):
    assert tensor.in_words == words


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_numbers_to_codes_and_back(dtype):
    tensor = FileTensor((1, 5), dtype, 0.5, {"int8": -3, "uint8": 125}[dtype])
    stored = tensor.stored([-1000, -0.8, 0, 0.3, 1000])
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    assert stored.dtype == dtype and stored.tolist() == [
        low,
        tensor.zero_point - 2,
        *[tensor.zero_point] * 1,
        tensor.zero_point + 1,
        high,
    ]
    values = tensor.values(stored)
    assert values.dtype == np.float32 and values[1:4].tolist() == [-1.0, 0.0, 0.5]
    plain = FileTensor((1, 2), "float32")
    assert plain.stored([1, 2]).dtype == np.float32 and plain.values(stored) is stored


def test_parts_add_up():
    sizes = FILE.bytes_by_role
    assert sizes == {
        "weights": 620,
        "biases": 10,
        "other constants": 16,
        "scales": 90,
        "metadata": 64,
        "structure": 200,
    }
    assert sum(sizes.values()) == FILE.size_bytes
    assert [tensor.operator for tensor in FILE.tensors] == ["conv", "block/dense", "conv", "shape"]


def test_text():
    text = str(FILE)
    for part in (
        "model.tflite: 1,000 bytes, mode small",
        "weights 620",
        "model network, written by tfmp 0.1.0",
        "input image: [1, 8, 8, 3] uint8: value = (code - 128) * 0.5",
        "output scores: [1, 2] float32",
        "2 labels: cat, dog",
        "W3 A4, weights as INT4",
        "not quantized",
    ):
        assert part in text
    many = dataclasses.replace(FILE, labels=tuple(map(str, range(1000))))
    assert "1000 labels: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ..." in str(many) and ", 10" not in str(many)
    assert "labels" not in str(dataclasses.replace(FILE, labels=()))
