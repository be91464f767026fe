import json

import numpy as np
import pytest

from tfmp.graph import BitAssignment

ASSIGNMENT = BitAssignment(
    {"stem/conv": (8, 4), "block_1": (2, 3), "kopf_ü": (1, 32)},
    costs={"bitops": 1.5e9, "model_size": 12},
    provenance={"strategy": "budget", "limit": 2e9, "seeds": [1, 2], "nested": {"versions": None}},
)


def test_json_round_trip_by_text_and_by_file(tmp_path):
    assert BitAssignment.from_json(ASSIGNMENT.to_json()) == ASSIGNMENT
    for path in (tmp_path / "bits.json", str(tmp_path / "more.json")):
        text = ASSIGNMENT.to_json(path)
        with open(path, encoding="utf-8") as file:
            assert file.read() == text
        assert BitAssignment.from_json(path) == ASSIGNMENT
    assert list(BitAssignment.from_json(path)) == ["stem/conv", "block_1", "kopf_ü"]


def test_json_says_what_it_is():
    content = json.loads(ASSIGNMENT.to_json())
    assert content["format"] == "tfmp.BitAssignment" and content["version"] == 1
    assert content["bits"]["block_1"] == [2, 3]


def test_existing_file_needs_overwrite(tmp_path):
    path = tmp_path / "bits.json"
    BitAssignment({"a": (1, 1)}).to_json(path)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        ASSIGNMENT.to_json(path)
    assert BitAssignment.from_json(path) == BitAssignment({"a": (1, 1)})
    ASSIGNMENT.to_json(path, overwrite=True)
    assert BitAssignment.from_json(path) == ASSIGNMENT


def test_reads_like_a_mapping_of_layer_names():
    assert ASSIGNMENT["block_1"] == (2, 3)
    assert len(ASSIGNMENT) == 3 and "stem/conv" in list(ASSIGNMENT)
    assert str(ASSIGNMENT) == "stem/conv  W8 A4\nblock_1    W2 A3\nkopf_ü     W1 A32"
    assert str(BitAssignment({})) == "" and len(BitAssignment({})) == 0
    with pytest.raises(KeyError):
        ASSIGNMENT["elsewhere"]


def test_numpy_integers_become_plain():
    assignment = BitAssignment({"a": [np.int64(2), np.int8(3)]})
    assert assignment == BitAssignment({"a": (2, 3)})
    assert BitAssignment.from_json(assignment.to_json()) == assignment


@pytest.mark.parametrize(
    "pair", [(2,), (2, 3, 4), (0, 2), (2, 33), (2.0, 2), ("2", 2), (True, 2), 2, None, "22"], ids=repr
)
def test_bits_must_be_pairs_and_the_message_names_the_layer(pair):
    with pytest.raises(
        ValueError, match="Layer `block`: `bits` must be two integers from 1 to 32. Received: .*weights first"
    ):
        BitAssignment({"block": pair})


def test_bits_must_be_a_mapping():
    with pytest.raises(TypeError, match="`bits` must be a mapping of layer names to pairs"):
        BitAssignment([("a", (2, 2))])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "without the mark `format` of 'tfmp.BitAssignment'"),
        ({"format": None}, "without the mark `format` of 'tfmp.BitAssignment'"),
        ({"version": 2}, "Received: 2. This tfmp reads version 1 or older: upgrade"),
        ({"version": None}, "without version"),
        ({"version": None, "bits": None}, "without version, bits"),
        ({"bits": None}, "without bits"),
        ({"bits": {"block": [2]}}, "Layer `block`"),
    ],
    ids=str,
)
def test_json_that_is_no_assignment(change, message):
    content = {**json.loads(ASSIGNMENT.to_json()), **change}
    text = json.dumps({key: value for key, value in content.items() if value is not None})
    with pytest.raises(ValueError, match=message):
        BitAssignment.from_json(text)


def test_text_that_is_no_json():
    with pytest.raises(ValueError, match="Received: JSON text: not JSON"):
        BitAssignment.from_json('{"bits": ')


def test_costs_and_provenance_may_be_left_out():
    text = json.dumps({"format": "tfmp.BitAssignment", "version": 1, "bits": {"a": [2, 3]}})
    assert BitAssignment.from_json(text) == BitAssignment({"a": (2, 3)})
