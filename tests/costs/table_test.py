import json

import numpy as np
import pytest

from tests.small_graphs import CONV, DENSE, chain, layer, searched_net, selection
from tfmp import costs
from tfmp.costs import Table
from tfmp.graph import FLOAT, CodeFormat
from tfmp.search import Budget, SearchedCost
from tfmp.search.assignment import most_probable_within

W4, W8, A8 = CodeFormat(4, -8, 7), CodeFormat(8, -127, 127), CodeFormat(8, 0, 255)
PRICES = {"conv": {(4, 8): 0.5, (8, 8): 0.75}}


def test_entries_are_found_by_bits():
    for table in (
        Table(PRICES, unit="ms"),
        Table({"conv": {"4,8": 0.5, "8, 8": 0.75}}, unit="ms"),
        Table({"conv": [[9, 0.5], [9, 0.75]]}, unit="ms", weight_bits=(4, 8), activation_bits=(2, 8)),
        Table({"conv": np.array([[0.5], [0.75]])}, unit="ms", weight_bits=[4, 8], activation_bits=[8]),
    ):
        assert table.table(CONV, [W8, W4], [A8]).tolist() == [[0.75], [0.5]]
        assert (table.name, table.unit, table.per_call) == ("table", "ms", False)


def test_layers_that_are_not_in_the_table():
    with pytest.raises(ValueError, match="Table `table` has no layer `dense`. It has: conv.*`others=`"):
        Table(PRICES, unit="ms").table(DENSE, [W4], [A8])
    assert Table(PRICES, unit="ms", others=3).table(DENSE, [W4, FLOAT], [A8]).tolist() == [[3.0], [3.0]]
    with pytest.raises(ValueError, match="layer `conv`: no price for W32 A8. It has: W4 A8, W8 A8"):
        Table(PRICES, unit="ms", others=3).table(CONV, [FLOAT], [A8])


@pytest.mark.parametrize(
    ("layers", "arguments", "message"),
    [
        ({"conv": {(4, 8): -1.0}}, {}, "layer `conv` at W4 A8: `price` must be .* at least 0. Received: -1.0"),
        ({"conv": {(4, 8): float("nan")}}, {}, "layer `conv` at W4 A8.*nan"),
        ({"conv": {(4, 8): np.inf}}, {}, "layer `conv` at W4 A8.*inf"),
        ({"conv": {(4, 8): "1"}}, {}, "layer `conv` at W4 A8.*'1'"),
        ({"conv": {(4, 8): None}}, {}, "layer `conv` at W4 A8.*None"),
        ({"conv": {4: 1.0}}, {}, "layer `conv`: `bits` must be two integers.* Received: 4"),
        ({"conv": {"4": 1.0}}, {}, "layer `conv`: `bits` must be two integers"),
        ({"conv": [[1.0]]}, {}, "layer `conv`: an array needs `weight_bits` and `activation_bits`"),
        ({"conv": [[1.0]]}, {"weight_bits": (2, 4), "activation_bits": (8,)}, r"shape \(2, 1\).*Received: \(1, 1\)"),
        ({"conv": [1.0, 2.0]}, {"weight_bits": (2, 4), "activation_bits": (8,)}, r"Received: \(2,\)"),
        ({"conv": [[1.0], [-2]]}, {"weight_bits": (2, 4), "activation_bits": (8,)}, "at W4 A8.*-2"),
        (PRICES, {"others": -1}, "Table `table`: `others` must be.*-1"),
    ],
    ids=str,
)
def test_what_is_no_price(layers, arguments, message):
    with pytest.raises(ValueError, match=message):
        Table(layers, unit="ms", **arguments)


def test_what_is_no_mapping():
    for wrong in ([[1.0]], None):
        with pytest.raises(TypeError, match="`layers` must be a mapping of layer names"):
            Table(wrong, unit="ms")
    with pytest.raises(ValueError, match="at least one layer"):
        Table({}, unit="ms")


def test_it_bounds_a_network():
    prices = {"conv": {(w, a): 10 * w + a for w in (1, 2, 4) for a in (2, 8)}}
    prices["grouped"] = dict.fromkeys([(2, 4), (3, 4)], 5)
    prices["dense"] = {(32, a): a for a in (1, 2, 3)}
    graph = searched_net()
    whole = Table(prices, unit="ms", others=100)
    assert costs.network_cost(graph, whole, {"conv": (2, 8), "grouped": (3, 4), "dense": (32, 3)}) == 28 + 5 + 3 + 200
    budget = Budget(whole, limit=200 + 5 + 22 + 3)
    assert most_probable_within(SearchedCost(graph, whole), budget.limit_for(graph)) == {
        "conv": (2, 2),  # 22
        "grouped": (3, 4),  # 5
        "dense": (32, 3),  # 3
    }
    with pytest.raises(ValueError, match="no layer `depthwise`"):
        Budget(Table(prices, unit="ms"), limit=1000).limit_for(graph)
    with pytest.raises(ValueError, match="layer `conv`: no price for W3 A3"):
        Budget(whole, like_uniform=(3, 3)).limit_for(graph)


def test_files(tmp_path):
    path = tmp_path / "my_phone.json"
    path.write_text(json.dumps({"unit": "ms", "layers": {"conv": {"4,8": 0.5, "8,8": 0.75}}}))
    comma_separated = tmp_path / "my_phone.csv"
    comma_separated.write_text("layer,weight_bits,activation_bits,ms\nconv,4,8,0.5\nconv,8,8,0.75\n")
    for each in (path, comma_separated):
        found = costs.get(str(each))
        assert (found.name, found.unit) == ("my_phone", "ms")
        assert found.table(CONV, [W8, W4], [A8]).tolist() == [[0.75], [0.5]]
        graph = chain(layer(CONV, selection((4, 8)), selection((8,), signed=False)))
        assert Budget(str(each), limit=0.6).limit_for(graph) == 0.6
    arrays = {"unit": "ms", "weight_bits": [4], "activation_bits": [8], "layers": {"conv": [[2]]}, "others": 0}
    path.write_text(json.dumps(arrays))
    assert costs.get(str(path)).table(CONV, [W4], [A8]) == 2


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "is no table of costs: not JSON: Expecting"),
        ("a.json", "[]", "expected `unit` and `layers`"),
        ("a.json", '{"unit": "ms", "layers": {"conv": {"4,8": -1}}}', "Table `a`, layer `conv` at W4 A8.*-1"),
        ("a.json", '{"unit": "ms", "layers": {"conv": {"4,8": 1}}, "more": 1}', "more"),
        ("a.csv", "layer,weight_bits,ms\n", "expected the columns layer, weight_bits, activation_bits and one"),
        ("a.csv", "layer,weight_bits,activation_bits,ms\nconv,4,8,slow\n", "slow"),
        ("a.csv", "layer,weight_bits,activation_bits,ms\nconv,4,8\n", "line 2: expected a layer's name, two integers"),
        ("a.csv", "layer,weight_bits,activation_bits,ms\n", "at least one layer"),
    ],
    ids=str,
)
def test_files_that_are_no_table(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        costs.get(str(tmp_path / name))


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        costs.get(str(tmp_path / "none.csv"))
