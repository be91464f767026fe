"""Uses of nested models on graphs made by hand; a framework of strings builds them again."""

import dataclasses

import pytest

from tfmp.bindings.model_builder import ModelBuilder
from tfmp.bindings.nesting import are_alike, border, calls_inside, local_name, with_equal_uses
from tfmp.graph import Call, Graph, Layer, LayerOrigin, Submodel, Tensor, TensorRef
from tfmp.transform.edits.activation_quantizers import quantize_layer


def ref(name):
    return TensorRef(name)


def twice_nested():
    """Two uses of `net`, which has `stem` inside: x -> net -> a; y -> net -> b; a + b."""
    layers = ("x", "y", "net/stem/conv", "net/relu", "sum")
    calls = [Call("x", (), {}, ("x",)), Call("y", (), {}, ("y",))]
    submodels = {}
    for source, suffix in (("x", ""), ("y", ":call_1")):
        use, inner, conv, relu = f"net{suffix}", f"net{suffix}/stem", f"net/stem/conv{suffix}", f"net/relu{suffix}"
        submodels[use] = Submodel("net", [ref(source)], ref(relu), {"training": False}, {"inputs": ("of net",)})
        submodels[inner] = Submodel("net/stem", ref(source), {"out": ref(conv)}, within=use)
        calls += [
            Call("net/stem/conv", (ref(source),), {}, (conv,), inner),
            Call("net/relu", (ref(conv),), {}, (relu,), use),
        ]
    calls.append(Call("sum", ([ref("net/relu"), ref("net/relu:call_1")],), {}, ("sum",)))
    tensors = {name: Tensor(name, (None, 4)) for call in calls for name in call.outputs}
    kinds = {"x": "input", "y": "input"}
    return Graph(
        "outer",
        {name: Layer(name, kinds.get(name, name)) for name in layers},
        tuple(calls),
        tensors,
        [ref("x"), ref("y")],
        ref("sum"),
        "keras",
        submodels,
    )


class Tree:
    @staticmethod
    def flatten(structure):
        if isinstance(structure, dict):
            structure = [structure[key] for key in sorted(structure)]
        return (
            [leaf for item in structure for leaf in Tree.flatten(item)] if isinstance(structure, list) else [structure]
        )

    @staticmethod
    def pack_sequence_as(structure, flat):
        assert len(Tree.flatten(structure)) == len(flat)
        return list(flat) if isinstance(structure, list) else flat[0]


class Strings(ModelBuilder):
    """Layers and models are functions of strings; `inputs` are written `<0>`, `<1>`, ..."""

    tree = Tree

    def __init__(self, graph):
        super().__init__(graph, {name: self.layer(name) for name in graph.layers}, framework=self)
        self.made = []

    @staticmethod
    def layer(name):
        def call(*args, **kwargs):
            return f"{name}({', '.join(Tree.flatten(list(args)))})"

        call.output = f"input {name}"
        return call

    def make_input(self, tensor, config):
        return f"<{tensor.name}>"

    def make_model(self, inputs, outputs, name, config):
        self.made.append((name, inputs, outputs))
        flat = Tree.flatten(inputs)

        def call(given, **arguments):
            text = outputs if not isinstance(outputs, dict) else outputs["out"]
            for placeholder, value in zip(flat, Tree.flatten(given), strict=True):
                text = text.replace(placeholder, value)
            return f"{name}[{text}{arguments or ''}]"

        return call


def test_names_inside_a_model():
    graph = twice_nested()
    names = {name: local_name(graph, name) for name in ("x", "net/relu", "net/stem", "net/stem/conv", "net")}
    assert names == {"x": "x", "net/relu": "relu", "net/stem": "stem", "net/stem/conv": "conv", "net": "net"}
    # A layer whose own name contains a slash is not in a nested model.
    assert local_name(graph, "other/relu") == "other/relu"


def test_calls_and_borders_of_a_use():
    graph = twice_nested()
    assert [call.outputs[0] for call in calls_inside(graph, "net:call_1")] == [
        "net/stem/conv:call_1",
        "net/relu:call_1",
    ]
    assert border(graph, "net") == ([ref("x")], ref("net/relu"))
    assert border(graph, "net/stem") == (ref("x"), {"out": ref("net/stem/conv")})


def test_a_border_that_more_tensors_cross_is_a_list():
    graph = twice_nested()
    wide = dataclasses.replace(graph, outputs=[ref("sum"), ref("net/stem/conv")])
    assert border(wide, "net")[1] == [ref("net/stem/conv"), ref("net/relu")]
    assert border(wide, "net/stem")[1] == {"out": ref("net/stem/conv")}
    # A tensor after the input that only one call inside reads instead.
    calls = tuple(
        dataclasses.replace(call, args=(ref("y"),)) if call.outputs[0] == "net/relu" else call for call in graph.calls
    )
    assert border(dataclasses.replace(graph, calls=calls), "net")[0] == [ref("x"), ref("y")]


def test_one_model_serves_uses_that_are_alike():
    graph = twice_nested()
    assert are_alike(graph, "net", "net:call_1") and are_alike(graph, "net/stem", "net:call_1/stem")
    builder = Strings(graph)
    tensors = builder.build()
    arguments = {"training": False}
    assert tensors["sum"] == (
        f"sum(net[net/relu(stem[net/stem/conv(input x)]){arguments}], "
        f"net[net/relu(stem[net/stem/conv(input y)]){arguments}])"
    )
    assert [name for name, *_ in builder.made] == ["stem", "net"] and len(builder.models) == 2


@pytest.mark.parametrize("tensor", ["net/relu", "net/relu:call_1"])
def test_what_one_use_needs_the_others_get(tensor):
    graph = twice_nested().insert_after(tensor, quantize_layer("net/relu_quantizer", signed=False))
    assert not are_alike(graph, "net", "net:call_1")
    equal = with_equal_uses(graph)
    assert are_alike(equal, "net", "net:call_1")
    assert [call.layer for call in calls_inside(equal, "net")][-1] == "net/relu_quantizer"
    assert sum(call.layer == "net/relu_quantizer" for call in equal.calls) == 2
    assert len(Strings(equal).build()) and equal.layers["net/relu_quantizer"].activation.signed is False


def test_layers_at_the_same_place_become_one_that_takes_both_signs():
    graph = twice_nested()
    graph = graph.insert_after("net/stem/conv", quantize_layer("net/stem/conv_quantizer", signed=False))
    graph = graph.insert_after("net/stem/conv:call_1", quantize_layer("net/stem/conv_quantizer_1", signed=True))
    equal = with_equal_uses(graph)
    assert set(equal.layers) - set(twice_nested().layers) == {"net/stem/conv_quantizer"}
    assert equal.layers["net/stem/conv_quantizer"].origin.config["signed"] is True
    assert are_alike(equal, "net", "net:call_1")
    assert with_equal_uses(equal) == equal


def test_uses_that_differ_become_two_models_with_shared_layers():
    graph = twice_nested()
    other = Layer("net/tanh", "other", origin=LayerOrigin(config={"name": "net/tanh"}))
    graph = graph.insert_after("net/relu:call_1", other)
    assert with_equal_uses(graph) == graph
    builder = Strings(graph)
    assert builder.build()["net/tanh"].startswith("net_1[net/tanh(net/relu(stem[")
    assert [name for name, *_ in builder.made] == ["stem", "net", "net_1"]


def test_calls_without_an_order_are_an_error():
    graph = twice_nested()
    calls = tuple(
        dataclasses.replace(call, args=(ref("sum"),)) if call.outputs[0] == "net/stem/conv" else call
        for call in graph.calls
    )
    with pytest.raises(ValueError, match="`outer`.*cannot be sorted"):
        Strings(dataclasses.replace(graph, calls=calls)).build()
