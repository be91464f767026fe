import dataclasses

import numpy as np
import pytest

from tests.small_graphs import CONV, DENSE, chain, layer, searched_net, selection
from tfmp.graph import (
    FLOAT,
    UNQUANTIZED,
    Call,
    Candidates,
    CodeFormat,
    Graph,
    Layer,
    Submodel,
    Tensor,
    TensorRef,
    map_references,
)


def branched():
    """input -> a -> (b, c) -> add(b, c) -> add(add, a); outputs are the last sum and b."""
    calls = (
        Call("input", (), {}, ("x",)),
        Call("a", (TensorRef("x"),), {}, ("a",)),
        Call("b", (TensorRef("a"),), {"mask": TensorRef("x")}, ("b",)),
        Call("c", (TensorRef("a"),), {"training": False}, ("c",)),
        Call("add", ([TensorRef("b"), TensorRef("c")],), {}, ("sum",)),
        Call("add", ([TensorRef("sum"), TensorRef("a")],), {}, ("add:call_1",)),
    )
    names = ("input", "a", "b", "c", "add")
    tensors = {name: Tensor(name, (None, 4)) for call in calls for name in call.outputs}
    outputs = {"main": TensorRef("add:call_1"), "side": (TensorRef("b"),)}
    return Graph("net", {n: Layer(n, n) for n in names}, calls, tensors, TensorRef("x"), outputs, "keras")


def test_producers_and_readers():
    graph = branched()
    assert graph.producer("a").layer == "a"
    assert graph.producer("add:call_1") is graph.calls[5]
    assert [call.outputs[0] for call in graph.readers("a")] == ["b", "c", "add:call_1"]
    assert [call.layer for call in graph.readers("x")] == ["a", "b"]
    assert graph.readers("add:call_1") == ()
    assert graph.layer_of(graph.calls[4]) is graph.layers["add"]
    with pytest.raises(KeyError):
        graph.producer("nowhere")


def test_a_call_that_reads_a_tensor_twice_is_listed_twice():
    calls = (Call("input", (), {}, ("x",)), Call("add", ([TensorRef("x"), TensorRef("x")],), {}, ("y",)))
    graph = Graph("g", {}, calls, {}, [TensorRef("x")], [TensorRef("y")], "keras")
    assert graph.readers("x") == (calls[1], calls[1])
    assert calls[1].inputs == ("x", "x")


def test_names_of_inputs_and_outputs_in_any_structure():
    graph = branched()
    assert graph.input_names == ("x",)
    assert graph.output_names == ("add:call_1", "b")
    assert graph.calls[2].inputs == ("a", "x")
    assert graph.calls[3].inputs == ("a",)


def test_layers_come_once_in_the_order_of_their_first_call():
    assert [layer.name for layer in branched().in_order()] == ["input", "a", "b", "c", "add"]
    graph = chain(layer(DENSE), layer(CONV), order=["conv", "dense", "conv"])
    assert [layer.name for layer in graph.in_order()] == ["input", "conv", "dense"]


def test_a_layer_is_searched_while_a_choice_is_left():
    assert [layer.name for layer in searched_net().searched] == ["conv", "grouped", "dense"]
    fixed = layer(CONV, selection((2,)), selection((4,), signed=False))
    assert fixed.is_quantized and not fixed.is_searched
    assert layer(CONV, selection((2,))).is_quantized and layer(CONV, UNQUANTIZED, selection((2,))).is_quantized
    assert not layer(CONV).is_quantized


def test_selection_names_its_bits():
    assert selection((1, 3)).bits == (1, 3)
    assert UNQUANTIZED.bits == (32,) and UNQUANTIZED.formats == (FLOAT,)
    assert Candidates((CodeFormat(2, 0, 3),)).probabilities == (1.0,)


def test_replaced_layers_leave_the_graph_as_it_was():
    graph = branched()
    new = dataclasses.replace(graph.layers["b"], kind="other")
    changed = graph.replace_layers({"b": new})
    assert changed.layers["b"] is new and graph.layers["b"].kind == "b"
    assert changed.calls == graph.calls and changed.layers["a"] is graph.layers["a"]


def test_an_inserted_layer_stands_between_a_tensor_and_all_its_readers():
    graph = branched()
    changed = graph.insert_after("a", Layer("a_quantizer", "quantize"))
    assert [call.outputs[0] for call in changed.calls] == ["x", "a", "a_quantizer", "b", "c", "sum", "add:call_1"]
    assert [call.layer for call in changed.readers("a")] == ["a_quantizer"]
    assert [call.outputs[0] for call in changed.readers("a_quantizer")] == ["b", "c", "add:call_1"]
    assert changed.calls[3].kwargs == {"mask": TensorRef("x")}
    assert changed.calls[4].kwargs == {"training": False}
    assert changed.tensors["a_quantizer"] == Tensor("a_quantizer", (None, 4))
    assert changed.output_names == graph.output_names
    assert "a_quantizer" not in graph.layers and len(graph.calls) == 6


def test_an_inserted_layer_behind_an_output_is_the_output():
    changed = branched().insert_after("b", Layer("q", "quantize"))
    assert changed.output_names == ("add:call_1", "q")
    assert changed.outputs == {"main": TensorRef("add:call_1"), "side": (TensorRef("q"),)}


def test_an_inserted_layer_behind_an_input_keeps_the_input():
    changed = branched().insert_after("x", Layer("q", "quantize"))
    assert changed.input_names == ("x",)
    assert [call.layer for call in changed.calls][:3] == ["input", "q", "a"]
    assert [call.layer for call in changed.readers("q")] == ["a", "b"]


def test_unused_names_avoid_layers_and_tensors():
    graph = branched()
    assert graph.unused_name("new") == "new"
    assert graph.unused_name("a") == "a_1"
    assert graph.unused_name("sum") == "sum_1"
    assert graph.replace_layers({"a_1": Layer("a_1", "other")}).unused_name("a") == "a_2"


def test_references_are_mapped_in_nested_structures():
    structure = ([TensorRef("a"), 1], {"k": (TensorRef("b"), "text", None)}, TensorRef("c"))
    assert map_references(structure, lambda r: r.name.upper()) == (["A", 1], {"k": ("B", "text", None)}, "C")
    assert structure[0][0] == TensorRef("a")


def test_a_layer_is_inserted_into_the_model_that_makes_the_tensor():
    graph = branched()
    calls = tuple(dataclasses.replace(call, within="block") if call.layer in "bc" else call for call in graph.calls)
    block = Submodel("block", [TensorRef("a")], {"b": TensorRef("b"), "c": TensorRef("c")})
    graph = dataclasses.replace(graph, calls=calls, submodels={"block": block})
    inserted = graph.insert_after("b", Layer("block/q", "quantize")).insert_after("a", Layer("q", "quantize"))
    within = {call.outputs[0]: call.within for call in inserted.calls}
    assert within["block/q"] == "block" and within["q"] == ""
    assert inserted.submodels["block"].inputs == [TensorRef("q")]
    assert inserted.submodels["block"].outputs == {"b": TensorRef("block/q"), "c": TensorRef("c")}
    again = inserted.insert_after("c", inserted.layers["block/q"])
    assert again.producer("block/q:call_1").inputs == ("c",) and again.producer("block/q").inputs == ("b",)


def test_without_layers_their_readers_read_their_inputs():
    graph = branched()
    longer = graph.insert_after("a", Layer("q", "quantize")).insert_after("q", Layer("r", "quantize"))
    longer = longer.insert_after("b", Layer("s", "quantize"))
    assert longer.without({"q", "r", "s"}) == graph
    assert longer.without({"q"}).producer("r").inputs == ("a",)


def test_pairs_of_candidates_and_their_probabilities():
    free = layer(CONV, selection((1, 2, 4), (0.2, 0.5, 0.3)), selection((2, 8), (0.9, 0.1), signed=False))
    assert free.pairs == ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1))
    np.testing.assert_allclose(free.pair_probabilities(), [[0.18, 0.02], [0.45, 0.05], [0.27, 0.03]])
    np.testing.assert_allclose(free.pair_probabilities((1, 0, 0), (0.5, 0.5)), [[0.5, 0.5], [0, 0], [0, 0]])
    odds = (0.7, 0.3)
    coupled = layer(CONV, selection((1, 4), odds), selection((2, 8), odds, signed=False))
    coupled = dataclasses.replace(coupled, coupled=True)
    assert coupled.pairs == ((0, 0), (1, 1))
    np.testing.assert_allclose(coupled.pair_probabilities(), [[0.7, 0], [0, 0.3]])
    np.testing.assert_allclose(coupled.pair_probabilities((0.4, 0.6), (0.4, 0.6)), [[0.4, 0], [0, 0.6]])
    assert layer(DENSE).pairs == ((0, 0),) and layer(DENSE).pair_probabilities() == 1
