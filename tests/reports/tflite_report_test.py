import dataclasses
import json

import pytest

from tests.reports.tflite_file_test import FILE
from tfmp.reports import FileLayer, ModelAgreement, OperatorAgreement, OutputAgreement, TFLiteReport

OPERATORS = (
    OperatorAgreement("conv", "conv", "conv2d", 1.0, 0),
    OperatorAgreement("total", "total", "add", 0.995, 1),
    OperatorAgreement("dense", "dense", "dense", 1.0, 0),
)
FOLDED, TRAINED, FLOAT = (
    ModelAgreement((OutputAgreement("p", decibels, 0.5, 0.98, share, "largest of 3", 100),), 100)
    for decibels, share in ((60.0, 1.0), (38.2, 0.99), (12.0, 0.9))
)
REPORT = TFLiteReport(FILE, OPERATORS, FOLDED, TRAINED, FLOAT, (("SOFTMAX", "p"), ("SOFTMAX", "q"), ("GELU", "r")))
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
    assert "    operators      3 of 5 compute every code of the folded model, given the same input codes" in lines
    assert "  the first operator that differs by more than 1: far" in lines
    assert sum(line.endswith("1 apart") for line in lines) == 1
    (total,) = (line.split() for line in lines if line.startswith("    total"))
    assert total == "total add 99.5000% equal, at most 1 apart".split()
    assert lines[-1] == "  not run by XNNPACK: 2 SOFTMAX, 1 GELU"
    assert "not verified" in str(TFLiteReport(FILE)) and "model  " not in str(TFLiteReport(FILE))


def test_four_lines_say_what_was_compared():
    start = str(REPORT).splitlines().index("  the file beside its models, on 100 samples (agreement, not accuracy):")
    figures = "at most 0.5 deviations apart, same class (largest of 3) in"
    assert str(REPORT).splitlines()[start + 1 : start + 5] == [
        "    operators      2 of 3 compute every code of the folded model, given the same input codes",
        f"    folded model   60.0 dB, {figures} 100.00%",
        f"    trained model  38.2 dB, {figures} 99.00%",
        f"    float model    12.0 dB, {figures} 90.00%",
    ]
    alone = str(dataclasses.replace(REPORT, operators=(), folded=None, reference=None))
    assert "operators      none: a file in floating point" in alone and "folded model   none: a file in" in alone
    assert "float model    not given, see `reference`" in alone


def test_text_of_a_deep_network_is_short():
    layers = tuple(FileLayer(f"layer_{i}", (4, 4), "INT8", 10 + i) for i in range(100))
    operators = tuple(OperatorAgreement(layer.name, layer.name, "conv2d", 1.0, 0) for layer in layers)
    report = dataclasses.replace(REPORT, file=dataclasses.replace(FILE, layers=layers), operators=operators)
    assert len(str(report).splitlines()) < 20 and "100 of 100 compute" in str(report)
    assert "layer_99 " in str(report) and "layer_50" not in str(report)


def test_json_holds_everything(tmp_path):
    text = FAR.to_json(tmp_path / "report.json")
    assert text == (tmp_path / "report.json").read_text()
    content = json.loads(text)
    assert content["first_difference"] == "far" and json.loads(REPORT.to_json())["first_difference"] is None
    assert content["file"]["bytes_by_role"] == FILE.bytes_by_role and content["file"]["labels"] == ["cat", "dog"]
    assert content["trained"]["signal_to_noise_db"] == 38.2 and content["reference"]["top1_agreement"] == 0.9
    assert content["folded"]["outputs"][0]["name"] == "p" and json.loads(TFLiteReport(FILE).to_json())["folded"] is None
    assert content["operators"][1] == dataclasses.asdict(FAR.operators[1])
    assert [layer["bits"] for layer in content["file"]["layers"]] == [[3, 4], [5, 8], None]
    with pytest.raises(FileExistsError):
        FAR.to_json(tmp_path / "report.json")
