"""Blocks of small graphs: `conv` in a name makes a layer with a kernel, everything else has none."""

import itertools

import hypothesis
from hypothesis import strategies as st

from tfmp.graph import Call, Graph, Layer, LayerShape, Tensor, TensorRef
from tfmp.transform.reconstruction.find_blocks import find_blocks


def network(text, *, outputs=None, sizes=()):
    """Returns the graph of lines `output layer input input ...`; the layer's name may be left out as `.`.

    Args:
        text: The lines.
        outputs: Names of the outputs; the last tensor by default.
        sizes: Pairs of a tensor's name and its number of values; others have 4.
    """
    calls, layers = [Call("image", (), {}, ("x",))], {"image": Layer("image", "input")}
    for output, layer, *inputs in map(str.split, text.strip().splitlines()):
        layer = output if layer == "." else layer
        shape = LayerShape(layer, "dense", in_channels=4, out_channels=4) if "conv" in layer else None
        layers[layer] = Layer(layer, "dense" if shape else "relu", shape=shape)
        calls.append(Call(layer, tuple(map(TensorRef, inputs)), {}, (output,)))
    names = [name for call in calls for name in call.outputs]
    tensors = {name: Tensor(name, (None, dict(sizes).get(name, 4))) for name in names}
    outputs = [TensorRef(name) for name in outputs or names[-1:]]
    return Graph("net", layers, tuple(calls), tensors, [TensorRef("x")], outputs, "keras")


def parts(graph, **options):
    """Returns the names of the outputs of all calls of each block."""
    return [
        [name for number in block.calls for name in graph.calls[number].outputs]
        for block in find_blocks(graph, **options)
    ]


def test_a_chain_is_divided_before_each_kernel():
    graph = network(
        """
        scale . x
        conv1 . scale
        norm1 . conv1
        relu1 . norm1
        conv2 . relu1
        pool . conv2
        conv3 . pool
        """,
        sizes=[("pool", 1)],
    )
    assert parts(graph) == [["conv1", "norm1", "relu1"], ["conv2"], ["conv3"]]
    first, second, third = find_blocks(graph)
    assert (first.layers, first.inputs, first.outputs) == (("conv1",), ("scale",), ("relu1",))
    assert (second.inputs, second.outputs) == (("relu1",), ("conv2",))
    assert (third.inputs, third.outputs) == (("pool",), ("conv3",))


RESIDUAL = """
    conv0 . x
    relu0 . conv0
    conv1 . relu0
    relu1 . conv1
    conv2 . relu1
    shortcut_conv . relu0
    sum . conv2 shortcut_conv
    relu . sum
    """


def test_a_residual_block_has_its_shortcut_and_what_follows():
    graph = network(f"{RESIDUAL.rstrip()}\n conv3 . relu")
    inside = ["conv1", "relu1", "conv2", "shortcut_conv", "sum", "relu"]
    assert parts(graph) == [["conv0", "relu0"], inside, ["conv3"]]
    block = find_blocks(graph)[1]
    assert block.layers == ("conv1", "conv2", "shortcut_conv")
    assert (block.inputs, block.outputs) == (("relu0",), ("relu",))


def test_what_others_read_makes_a_block_of_layers():
    graph = network(RESIDUAL, outputs=["relu", "relu1"])
    found = [["conv0", "relu0"], ["conv1", "relu1"], ["conv2"], ["shortcut_conv"]]
    assert parts(graph) == found
    assert find_blocks(graph)[1].outputs == ("relu1",)


def test_the_outermost_of_nested_blocks_with_few_layers_is_taken():
    graph = network(
        """
        a . x
        conv1 . a
        conv2 . conv1
        inner . conv2 conv1
        conv3 . inner
        outer . conv3 a
        """
    )
    assert parts(graph) == [["conv1", "conv2", "inner", "conv3", "outer"]]
    assert parts(graph, most_layers=2) == [["conv1"], ["conv2", "inner"], ["conv3"]]
    assert parts(graph, most_layers=0) == [["conv1"], ["conv2"], ["conv3"]]


def test_squeeze_and_excitation_is_a_block_and_a_gate_without_kernel_follows():
    graph = network(
        """
        conv1 . x
        gate1 . conv1
        swish . conv1 gate1
        mean . swish
        conv2 . mean
        conv3 . conv2
        scaled . swish conv3
        conv4 . scaled
        """,
        sizes=[("mean", 1), ("conv2", 1), ("conv3", 1)],
    )
    assert parts(graph) == [["conv1", "gate1", "swish"], ["mean", "conv2", "conv3", "scaled"], ["conv4"]]


def test_a_shared_layer_is_learned_with_all_its_calls():
    graph = network(
        """
        conv1 . x
        once conv_shared conv1
        conv2 . once
        twice conv_shared conv2
        relu . twice
        """
    )
    assert parts(graph) == [["conv1"], ["once", "twice", "relu"], ["conv2"]]
    shared = find_blocks(graph)[1]
    assert (shared.inputs, shared.outputs) == (("conv1", "conv2"), ("once", "relu"))
    around = network(
        """
        conv1 conv_shared x
        relu . conv1
        conv2 conv_shared relu
        sum . conv2 relu
        """
    )
    assert parts(around) == [["conv1", "relu", "conv2"]]


@st.composite
def networks(draw):
    """Any graph of a few calls, some of them of one layer."""
    lines, names = [], ["x"]
    for number in range(draw(st.integers(1, 9))):
        kind = draw(st.sampled_from(["relu", "conv", "conv", "sum", "conv_shared"]))
        count = 2 if kind == "sum" else 1
        inputs = [draw(st.sampled_from(names[-4:])) for _ in range(count)]
        name = f"{kind}{number}"
        lines.append(f"{name} {'conv_shared' if kind == 'conv_shared' else '.'} {' '.join(inputs)}")
        names.append(name)
    return network("\n".join(lines))


@hypothesis.given(networks(), st.integers(1, 4))
@hypothesis.settings(max_examples=200, deadline=None)
def test_blocks_of_any_network(graph, most_layers):
    blocks = find_blocks(graph, most_layers=most_layers)
    kernels = [name for name, layer in graph.layers.items() if layer.shape is not None]
    assert sorted(name for block in blocks for name in block.layers) == sorted(kernels)
    assert all(not set(a.calls) & set(b.calls) for a, b in itertools.combinations(blocks, 2))
    assert [block.calls[0] for block in blocks] == sorted(block.calls[0] for block in blocks)
    for block in blocks:
        calls = [graph.calls[number] for number in block.calls]
        for layer in block.layers:
            assert all(call in calls for call in graph.calls_of(layer))
        made = {name for call in calls for name in call.outputs}
        assert {name for call in calls for name in call.inputs} - made == set(block.inputs)
        outside = [call for call in graph.calls if call not in calls]
        read = {name for call in outside for name in call.inputs} | set(graph.output_names)
        assert made & read == set(block.outputs)
        if len(block.layers) > 1:
            assert len(block.layers) <= most_layers and len(block.inputs) == 1
