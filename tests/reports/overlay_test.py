import json
import math

import pytest

from tfmp.reports import FileLayer, FileOperator, OperatorAgreement, TFLiteFile, overlays, write_overlays

FILE = TFLiteFile(
    "model.tflite",
    "network",
    1000,
    "small",
    "0.2.0",
    {},
    {},
    (FileLayer("conv", (3, 4), "INT4", 560), FileLayer("dense", (8, 8), "INT8", 170), FileLayer("bn", None, "", 9)),
    (),
    64,
    operators=(
        FileOperator("image_codes", "image_codes", "QUANTIZE", "", 0),
        FileOperator("", "", "GATHER", "", 16),
        FileOperator("conv/unclipped", "conv", "CONV_2D", "conv", 560),
        FileOperator("conv", "conv", "QUANTIZE", "", 0),
        FileOperator("conv_1", "conv_1", "CONV_2D", "conv", 0),
        FileOperator("dense", "dense", "FULLY_CONNECTED", "dense", 170),
    ),
)
AGREEMENT = (OperatorAgreement("conv", "conv", "conv2d", 0.75, 1), OperatorAgreement("dense", "dense", "dense", 1.0, 0))
EXPECTED = {
    "weight_bits": {"conv/unclipped": 3, "conv_1": 3, "dense": 8},
    "input_bits": {"conv/unclipped": 4, "conv_1": 4, "dense": 8},
    "bytes": {"conv/unclipped": 560, "dense": 170},
    "harm": {"conv/unclipped": 0.25, "conv_1": 0.25},
    "parity": {"conv/unclipped": 0.75, "conv": 0.75, "dense": 1.0},
}
ALL = overlays(FILE, operators=AGREEMENT, harms={"conv": 0.25, "dense": math.nan, "elsewhere": 1.0})


def test_each_operator_has_the_figures_of_its_layer():
    assert {each.name: each.values for each in ALL} == EXPECTED
    assert {each.name for each in overlays(FILE)} == {"weight_bits", "input_bits", "bytes"}, "of what is known"


def test_the_json_is_node_data_of_model_explorer():
    for overlay in ALL:
        content = json.loads(overlay.to_json())
        assert content.pop("name") == overlay.name
        assert content.pop("results") == {name: {"value": value} for name, value in EXPECTED[overlay.name].items()}
        hidden = content.pop("hideAggregatedStats", []), content.pop("hideInChildrenStatsTable", False)
        adds_up = overlay.name in ("bytes", "harm")
        assert hidden == (([], False) if adds_up else (["sum"], True))
        ((kind, colors),) = content.items()
        if kind == "gradient":
            assert [set(each) for each in colors] == [{"stop", "bgColor"}] * 2
            assert [each["stop"] for each in colors] == [0, 1], "stops of the smallest and the largest value"
        else:
            below, equal = colors  # a color is that of the first threshold which is not below the value
            assert kind == "thresholds" and 1 - 1e-12 < below["value"] < 1 == equal["value"]
            assert below["bgColor"] != equal["bgColor"]


def test_they_are_written_together(tmp_path):
    folder = tmp_path / "new"
    written = write_overlays(ALL, folder)
    assert sorted(written) == sorted(folder.iterdir()) == sorted(folder / f"{name}.json" for name in EXPECTED)
    assert (folder / "harm.json").read_text() == next(each.to_json() for each in ALL if each.name == "harm")
    with pytest.raises(FileExistsError):
        write_overlays(ALL, folder)
    (folder / "mine.txt").touch()
    write_overlays(overlays(FILE), folder, overwrite=True)
    assert {path.name for path in folder.iterdir()} == {"weight_bits.json", "input_bits.json", "bytes.json", "mine.txt"}


def test_nothing_is_written_if_one_cannot_be(tmp_path):
    (tmp_path / "parity.json").touch()
    with pytest.raises(FileExistsError):
        write_overlays(ALL, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["parity.json"]
    with pytest.raises(FileNotFoundError, match="Create it first"):
        write_overlays(ALL, tmp_path / "missing" / "folder")
