import dataclasses
import json

import pytest

from tests.types.tflite_file_test import FILE
from tfmp.types import FileLayer, OperatorAgreement, TFLiteReport

OPERATORS = (
    OperatorAgreement("conv", "conv", "conv2d", 1.0, 0),
    OperatorAgreement("total", "total", "add", 0.995, 1),
    OperatorAgreement("dense", "dense", "dense", 1.0, 0),
)
REPORT = TFLiteReport(FILE, OPERATORS, 0.98, 0.5, 1.0, (("SOFTMAX", "p"), ("SOFTMAX", "q"), ("GELU", "r")))
FAR = dataclasses.replace(REPORT, operators=(*OPERATORS[:1], OperatorAgreement("far", "", "mean", 0.5, 2), *OPERATORS))


def test_first_difference():
    assert REPORT.first_difference is None
    assert FAR.first_difference.name == "far"


def test_the_file_shows_through():
    assert (REPORT.path, REPORT.size_bytes, REPORT.mode) == ("model.tflite", 1000, "small")
    assert REPORT.bits == {"conv": (3, 4), "dense": (5, 8)}


def test_text_lists_what_differs_alone():
    lines = str(FAR).splitlines()
    assert "weights of 2 layers: 3 bits as INT4 in 1, 5 bits as INT8 in 1" in str(FAR)
    assert "  3 of 5 operators: every code equal, given the file's own input codes" in lines
    assert "  the first that differs by more than 1: far" in lines
    assert sum("apart" in line for line in lines) == 3
    assert (
        next(line for line in lines if "total" in line).split() == "total add 99.5000% equal, at most 1 apart".split()
    )
    assert lines[-1] == "  not run by XNNPACK: 2 SOFTMAX, 1 GELU"
    assert "not verified" in str(TFLiteReport(FILE)) and "end to end" not in str(TFLiteReport(FILE))


def test_text_of_a_deep_network_is_short():
    layers = tuple(FileLayer(f"layer_{i}", (4, 4), "INT8", 10 + i) for i in range(100))
    operators = tuple(OperatorAgreement(layer.name, layer.name, "conv2d", 1.0, 0) for layer in layers)
    report = dataclasses.replace(REPORT, file=dataclasses.replace(FILE, layers=layers), operators=operators)
    assert len(str(report).splitlines()) < 20 and "100 of 100 operators" in str(report)
    assert "layer_99 " in str(report) and "layer_50" not in str(report)


def test_json_holds_everything(tmp_path):
    text = FAR.to_json(tmp_path / "report.json")
    assert text == (tmp_path / "report.json").read_text()
    content = json.loads(text)
    assert content["first_difference"] == "far" and json.loads(REPORT.to_json())["first_difference"] is None
    assert content["file"]["bytes_by_role"] == FILE.bytes_by_role and content["file"]["labels"] == ["cat", "dog"]
    assert content["operators"][1] == dataclasses.asdict(FAR.operators[1])
    assert [layer["bits"] for layer in content["file"]["layers"]] == [[3, 4], [5, 8], None]
    with pytest.raises(FileExistsError):
        FAR.to_json(tmp_path / "report.json")
