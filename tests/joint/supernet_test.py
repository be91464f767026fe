"""The supernet, restricted to one choice, against the network of that choice."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmp
from tests.search_spaces import ONE, SMALL
from tfmp.bindings.framework import framework_of
from tfmp.graph import Graph
from tfmp.joint.architecture_cost import ArchitectureCost
from tfmp.joint.block_spec import BlockSpec
from tfmp.joint.categoricals import Categoricals
from tfmp.joint.derived_model import build_network
from tfmp.joint.discrete_network import DiscreteNetwork
from tfmp.joint.supernet import supernet

CATEGORICALS = Categoricals(SMALL)
NETWORKS = {
    # The stem's output is read by a residual block; a stage ends in a skip; 1 and all of the hidden channels.
    "skips": ["skip", (3, 3, 2, 8), (1, 5, 8, 2), "skip", "skip"],
    "few": [(1, 3, 6, 6), "skip", (1, 3, 8, 4), (3, 5, 2, 6), (1, 7, 6, 2)],
    "all": [(6, 7, 8, 8), (6, 7, 8, 6), (6, 7, 8, 8), (6, 7, 4, 8), (6, 7, 8, 8)],
}


def network(name):
    if name == "nothing":
        return DiscreteNetwork(ONE, [BlockSpec(True)])
    if name.startswith("sample"):
        (indices,) = CATEGORICALS.sample(CATEGORICALS.probabilities(np.zeros(CATEGORICALS.shape)), 1, ord(name[-1]))
        return CATEGORICALS.network(indices)
    choices = [BlockSpec(True) if row == "skip" else BlockSpec(False, *row) for row in NETWORKS[name]]
    return DiscreteNetwork(SMALL, choices)


def images(seed, count=6):
    return np.random.default_rng(seed).normal(size=(count, 11, 11, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def trained():
    """A supernet whose weights, statistics and ranges all differ from where they start."""
    keras.utils.set_random_seed(4)
    model = supernet(SMALL)
    rng = np.random.default_rng(5)
    for variable in model.weights:
        if variable.path.endswith("gamma"):
            variable.assign(rng.uniform(0.5, 2.0, variable.shape))
        elif variable.path.endswith(("beta", "bias")):
            variable.assign(rng.normal(size=variable.shape) * 0.3)
    mixed = tf.constant(CATEGORICALS.probabilities(np.zeros(CATEGORICALS.shape)), tf.float32)
    for seed in range(10, 14):
        model([tf.constant(images(seed)), mixed], training=True)
    for variable in model.weights:
        # The exception: where the first block is skipped the second reads the stem's ReLU, and its range in the network
        # starts at zero. In the supernet it is that of a mixture with the first block's output, and lies below.
        if variable.path.startswith("stage1_block2/") and variable.path.endswith("minimum"):
            if variable.path.split("/")[1] in ("expand_range", "input_quantizer"):
                assert variable.numpy() < 0
                variable.assign(0.0)
    return model


def inherited(model, chosen):
    """Copies the weights of the supernet into the network, by name; kernels as the parts that are chosen."""
    derived = build_network(keras, chosen)
    source = {variable.path: variable for variable in model.weights}
    places = dict(chosen.blocks)
    graph = framework_of(derived).read(derived, weights=False)
    for variable in derived.weights:
        value = values_for(variable.path, source, places, graph)
        assert value.shape == tuple(variable.shape), variable.path
        variable.assign(value)
    return derived


def values_for(path, source, places, graph: Graph):
    layer, _, rest = path.partition("/")
    if path in source:
        return source[path].numpy()
    for place, choice in places.items():
        part = layer.removeprefix(f"{place.name}_")
        if part == layer:
            continue
        hidden = choice.expansion * place.in_channels
        block = place.name
        if part.endswith("_bn") and rest:
            return source[f"{block}/{part}/{rest}"].numpy()[: hidden if part != "project_bn" else None]
        if part == "project_bn_quantizer" and choice.expansion and is_added(graph, layer):
            return source[f"{block}/output_quantizer/{rest}"].numpy()
        if part in ("expand", "depthwise", "project"):
            if rest.startswith("activation_selector/"):
                return source[f"{block}/{part}_range/{rest.rpartition('/')[2]}"].numpy()
            kernel = source[f"{block}/{part}_kernel"].numpy()
            edge = (kernel.shape[0] - choice.kernel_size) // 2
            kernel = kernel[edge : -edge or None, edge : -edge or None] if part == "depthwise" else kernel
            return {
                "expand": kernel[..., :hidden],
                "depthwise": kernel[:, :, :hidden],
                "project": kernel[:, :, :hidden],
            }[part]
    # What stores the input of a residual block: the quantizer of the block that reads it.
    (tensor,) = (call.outputs[0] for call in graph.calls if call.layer == layer)
    (reader,) = (c.layer.removesuffix("_expand") for c in graph.readers(tensor) if c.layer.endswith("_expand"))
    return source[f"{reader}/input_quantizer/{rest}"].numpy()


def is_added(graph, quantizer):
    """True if a quantizer stores what a block adds to its input, False if it stores another block's input."""
    (tensor,) = (call.outputs[0] for call in graph.calls if call.layer == quantizer)
    return not any(call.layer.endswith("_expand") for call in graph.readers(tensor))


@pytest.mark.default_cases("few")
@pytest.mark.parametrize("name", NETWORKS)
def test_restricted_supernet_is_the_network(trained, name):
    chosen = network(name)
    derived = inherited(trained, chosen)
    start = [variable.numpy() for variable in trained.weights]
    choices = CATEGORICALS.one_hot(CATEGORICALS.indices(chosen))
    # Before the last quantizer, which would hide small differences, and after the last normalization.
    whole, one = (
        keras.Model(model.inputs, [model.get_layer(layer).output for layer in ("last_bn", "classifier")])
        for model in (trained, derived)
    )
    # Statistics of the batch move statistics and ranges; what comes after sees them moved.
    for seed, training in ((1, False), (2, True), (3, True), (4, False)):
        found, expected = whole([images(seed), choices], training=training), one([images(seed)], training=training)
        for each, wanted in zip(found, expected, strict=True):
            assert np.unique(each).size >= 8
            np.testing.assert_allclose(each, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())
    for variable, value in zip(trained.weights, start, strict=True):
        variable.assign(value)


@pytest.mark.slow
def test_choices_get_gradients(trained):
    """In a mixture every candidate has a part in the logits; the padding has none."""
    x = tf.constant(images(1))
    rng = np.random.default_rng(0)
    choices = tf.constant(CATEGORICALS.probabilities(rng.normal(size=CATEGORICALS.shape)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(choices)
        loss = tf.reduce_sum(tf.square(trained([x, choices], training=False)))
    gradient = tape.gradient(loss, choices).numpy()
    free = (CATEGORICALS.counts > 1)[:, None] & (CATEGORICALS.mask > 0)
    assert (gradient[free] != 0).mean() > 0.95
    assert np.abs(gradient[CATEGORICALS.mask == 0]).max() == 0


def test_supernet_is_as_large_as_its_largest_network(trained):
    largest = build_network(keras, network("all"))
    statistics = sum(v.path.endswith(("minimum", "maximum", "seen")) for v in trained.weights)
    of_largest = sum(v.path.endswith(("minimum", "maximum", "seen")) for v in largest.weights)
    assert trained.count_params() - statistics == largest.count_params() - of_largest


@pytest.mark.default_cases("few", "nothing")
@pytest.mark.parametrize("name", [*NETWORKS, "sample a", "sample b", "nothing"])
def test_energy_of_the_model_is_that_of_the_network(name):
    chosen = network(name)
    report = tfmp.simulate(build_network(keras, chosen), batch=16)
    assert report.total.energy_nj["total"] == ArchitectureCost("energy")(chosen)
    assert report.total.total_cycles == ArchitectureCost("simulated_latency")(chosen)
    assert [row.name for row in report.layers if row.modelled] == [layer.name for layer in chosen.layers]
    pairs = {row.name: (row.weight_bits, row.activation_bits) for row in report.layers if row.modelled}
    assert pairs == chosen.bits


def test_saves_and_loads(trained, tmp_path):
    trained.save(tmp_path / "supernet.keras")
    loaded = keras.models.load_model(tmp_path / "supernet.keras")
    x, choices = images(1), CATEGORICALS.one_hot(np.zeros(CATEGORICALS.shape[0], int))
    np.testing.assert_array_equal(loaded([x, choices]).numpy(), trained([x, choices]).numpy())


def test_derived_model_is_exported(tmp_path):
    keras.utils.set_random_seed(4)
    chosen = network("skips")
    model = build_network(keras, chosen)
    for seed in range(3):
        model(images(seed, 16), training=True)
    report = tfmp.export_tflite(model, tmp_path / "model.tflite", verify=images(9, 8))
    assert report.bits == {name: pair for name, pair in chosen.bits.items()}
    assert all(row.equal_share == 1 for row in report.operators) and len(report.operators) > 10
