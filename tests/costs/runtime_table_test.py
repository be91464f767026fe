import dataclasses
import json

import pytest

from tests.small_graphs import CONV, DENSE, chain, layer, searched_net, selection
from tfmp.costs.runtime_table import RuntimeRow, RuntimeTable, network_key
from tfmp.graph import LayerShape

TRANSPOSED = LayerShape("up", "conv2d_transpose", (2, 2), (2, 2), 4, 3, 1, (8, 8), False, (4, 4))
TABLE = RuntimeTable(
    {"threads": 1},
    (RuntimeRow(CONV, 8, 5.0, (4.0, 6.0)), RuntimeRow(CONV, 4, 15.0), RuntimeRow(TRANSPOSED, 8, 7.5)),
    {"abc": -1.5},
    "2026-01-31",
)


def test_layers_are_found_by_their_shape_whatever_their_name():
    renamed = dataclasses.replace(CONV, name="other", reads_network_input=True)
    assert [TABLE.latency_us(renamed, bits) for bits in (8, 4, 2)] == [5.0, 15.0, None]
    assert TABLE.latency_us(dataclasses.replace(CONV, input_size=(7, 8)), 8) == 5.0
    for change in ({"strides": (2, 2)}, {"output_size": (6, 5)}, {"out_channels": 9}, {"kernel_size": (1, 9)}):
        assert TABLE.latency_us(dataclasses.replace(CONV, **change), 8) is None


def test_a_table_survives_json(tmp_path):
    path = tmp_path / "latency.json"
    TABLE.to_json(path)
    again = RuntimeTable.from_json(path)
    assert again.latency_us(TRANSPOSED, 8) == 7.5 and again.latency_us(CONV, 4) == 15.0
    assert again.to_json() == TABLE.to_json()
    with pytest.raises(FileExistsError):
        TABLE.to_json(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "Expecting value"),
        ("[]", "not an object"),
        ('{"version": 1}', "format"),
        ('{"format": "another", "version": 1}', "tfmp.RuntimeTable"),
        (TABLE.to_json().replace('"version": 1', '"version": 2'), "upgrade"),
        (TABLE.to_json().replace("latency_us", "wrong"), "wrong"),
        (json.dumps({**json.loads(TABLE.to_json()), "more": 1}), "more"),
    ],
    ids=["text", "list", "no-format", "another", "newer", "row", "field"],
)
def test_what_is_no_table_is_refused(tmp_path, text, message):
    path = tmp_path / "latency.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"Expected a table of latencies.*latency.json.*{message}"):
        RuntimeTable.from_json(path)


def test_a_network_is_known_by_its_layers():
    graph = searched_net()
    fixed = chain(layer(CONV, selection((8,))), layer(DENSE))
    assert network_key(graph) == network_key(searched_net()) != network_key(fixed)
    renamed = dataclasses.replace(CONV, name="other")
    assert network_key(fixed) == network_key(chain(layer(renamed, selection((2, 4))), layer(DENSE)))
    assert network_key(chain(layer(CONV), layer(DENSE), order=["conv", "conv", "dense"])) != network_key(fixed)
