"""The peak against the liveness of what is folded, and against a file in the interpreter."""

import dataclasses

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from keras import layers as kl

import tfmp
from tests.costs.network_sizes import apart
from tests.operators import table_test
from tests.small_graphs import CONV, assignments, chain, layer, selection
from tests.transform import fold_models
from tests.transform.fold_models import fixed_model, randomized, samples
from tfmp import costs
from tfmp.bindings.framework import framework_of
from tfmp.costs.live_values import live_values
from tfmp.search import SearchedCost
from tfmp.search.assignment import best_within
from tfmp.search.budget import priced_limits
from tfmp.tflite.writer.write_tflite import write_tflite
from tfmp.transform.fold import fold_graph

NAME = "peak_activation_memory"
BUILDERS = [fold_models.residual, table_test.moved, table_test.parametric]


def bits_of(integers, name):
    """Of one sample of a tensor of the integer network; a grid says how many codes there are."""
    tensor = integers.tensors[name]
    bits = 32 if tensor.grid is None else (tensor.grid.high - tensor.grid.low).bit_length()
    return bits * int(np.prod(tensor.shape[1:]))


def live_bits(integers):
    """Bits alive at each operation but reshapes: what was there before and is read now or later, or is returned."""
    same = {}
    for operation in integers.operations:
        if operation.kind == "reshape":
            same[operation.output] = same.get(operation.inputs[0], operation.inputs[0])
    steps = [operation for operation in integers.operations if operation.kind != "reshape"]
    read = [{same.get(name, name) for name in operation.inputs} for operation in steps]
    returned = {same.get(name, name) for name in integers.outputs}
    found = []
    for index, operation in enumerate(steps):
        before = {each.output for each in steps[:index]} | set(integers.inputs)
        wanted = returned.union(*read[index:])
        found.append(sum(bits_of(integers, name) for name in (before & wanted) | {operation.output}))
    return found


@pytest.mark.default_cases("residual", "moved")
@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_every_step_of_a_folded_network(build):
    model = randomized(build())
    fixed = apart(fixed_model(model, [(3, 2), (1, 4), (4, 3), (2, 8)], samples(model)))
    graph = framework_of(fixed).read(fixed)
    expected = live_bits(fold_graph(graph))
    found = [
        bits + sum(count * graph.layers[name].activation.bits[0] for name, count in values.items())
        for bits, values in live_values(graph)
    ]
    assert found == expected and len(set(expected)) > 5
    assert tfmp.cost(fixed, NAME) == max(expected)


def live_bits_of_file(content):
    """The same of the operators of a file, but those that clip the codes of a tensor."""
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    graph, codes = file.subgraphs[0], file.operatorCodes
    stored = [file.buffers[tensor.buffer].data is None for tensor in graph.tensors]
    bits = [{0: 32, 9: 8}.get(tensor.type, 0) * int(np.prod(tensor.shape)) for tensor in graph.tensors]
    same, steps = {}, []
    for operator in graph.operators:
        read = [same.get(index, index) for index in operator.inputs if stored[index]]
        kind = codes[operator.opcodeIndex].builtinCode
        scales = [graph.tensors[index].quantization for index in (operator.inputs[0], operator.outputs[0])]
        clips = (
            kind == schema.BuiltinOperator.QUANTIZE and None not in scales and len({*(s.scale[0] for s in scales)}) == 1
        )
        if kind == schema.BuiltinOperator.RESHAPE or clips:
            same[operator.outputs[0]] = read[0]
        else:
            steps.append((set(read), set(operator.outputs)))
    returned, found = {same.get(index, index) for index in graph.outputs}, []
    for index, (_, written) in enumerate(steps):
        before = set(graph.inputs).union(*(each for _, each in steps[:index]))
        wanted = returned.union(*(each for each, _ in steps[index:]))
        found.append(sum(bits[tensor] for tensor in (before & wanted) | written))
    return found


@pytest.mark.default_cases("residual", "gated")
@pytest.mark.parametrize("build", [*BUILDERS, table_test.gated], ids=lambda build: build.__name__)
def test_every_step_of_a_file_of_8_bits(build):
    model = randomized(build())
    fixed = apart(fixed_model(model, [(8, 8)], samples(model)))
    expected = live_bits_of_file(write_tflite(fold_graph(framework_of(fixed).read(fixed))))
    found = live_values(framework_of(fixed).read(fixed, weights=False))
    assert [bits + 8 * sum(values.values()) for bits, values in found] == expected
    assert tfmp.cost(fixed, NAME) == max(expected)


def test_the_interpreter_takes_as_much_for_a_file_of_8_bits(tmp_path):
    model = randomized(fold_models.residual())
    fixed = apart(fixed_model(model, [(8, 8)], samples(model)))
    path = tmp_path / "model.tflite"
    tfmp.export_tflite(fixed, path)
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))
    constant = [file.buffers[tensor.buffer].data is not None for tensor in file.subgraphs[0].tensors]
    # Without a delegate, and the plain kernels: no memory but that of the tensors.
    interpreter = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    arrays = [interpreter.tensor(index)() for index, held in enumerate(constant) if not held]
    starts = [array.__array_interface__["data"][0] for array in arrays]
    arena = max(start + array.nbytes for start, array in zip(starts, arrays, strict=True)) - min(starts)
    # It keeps its inputs to the end, here beyond the peak.
    assert 8 * (arena - 4 * np.prod(fixed.inputs[0].shape[1:])) == tfmp.cost(fixed, NAME)


def test_a_network_in_floating_point():
    image = x = keras.Input((6, 6, 2))
    x = kl.ReLU()(kl.BatchNormalization()(kl.Conv2D(4, 3, padding="same")(x)))
    x = kl.Add()([x, kl.Conv2D(4, 1)(x)])
    model = keras.Model(image, kl.Dense(3)(kl.Flatten()(x)))
    assert tfmp.cost(model, NAME) == 32 * 36 * (4 + 4 + 4)  # at the addition
    assert tfmp.cost(model, "activation_memory") == 32 * 36 * (2 + 4 + 4)


@pytest.fixture(scope="module")
def relaxed():
    """Large images in the middle, of which one is read twice."""
    keras.utils.set_random_seed(0)
    image = x = keras.Input((6, 6, 1))
    x = kl.Conv2D(8, 3, padding="same", activation="relu", name="first")(x)
    x = y = kl.Conv2D(16, 3, padding="same", activation="relu", name="wide")(x)
    x = kl.Conv2D(16, 1, activation="relu", name="inside")(x)
    x = kl.Conv2D(16, 1, name="behind")(x)
    x = kl.MaxPooling2D(3, name="pool")(kl.Add(name="sum")([x, y]))
    x = kl.Conv2D(8, 2, activation="relu", name="small")(x)
    model = keras.Model(image, kl.Dense(2, name="last")(kl.Flatten()(x)))
    data = np.random.default_rng(0).normal(size=(32, 6, 6, 1)).astype(np.float32)
    return tfmp.relax(model, weight_bits=(2, 4), activation_bits=(2, 3, 8), calibration=data)


def test_a_relaxed_network_at_every_assignment(relaxed):
    graph = framework_of(relaxed).read(relaxed, weights=False)
    priced = SearchedCost(graph, NAME)
    every = [bits for _, bits in assignments(graph)][::37]
    for bits in every:
        assert priced.of(bits) == costs.network_cost(graph, costs.get(NAME), bits)
    for bits in every[::20]:
        assert priced.of(bits) == tfmp.cost(relaxed, NAME, bits)
    uniform = tfmp.cost(relaxed, NAME, dict.fromkeys(every[0], (4, 3)))
    assert tfmp.Budget(NAME, like_uniform=(4, 3)).limit_for(graph) == uniform
    assert len(priced.sums) > 1 and priced.smallest == min(priced.of(bits) for _, bits in assignments(graph))
    probabilities = {name: (np.full(2, 0.5), np.full(3, 1 / 3)) for name in priced.names}
    assert priced.expected(probabilities) == pytest.approx(tfmp.cost(relaxed, NAME))
    assert priced.expected(probabilities) <= np.mean([priced.of(bits) for _, bits in assignments(graph)])


@pytest.mark.parametrize("uniform", [(2, 2), (4, 3), (4, 8)], ids=str)
def test_the_best_assignment_within_a_peak(relaxed, uniform):
    graph = framework_of(relaxed).read(relaxed, weights=False)
    budgets = [tfmp.Budget(NAME, like_uniform=uniform), tfmp.Budget("bitops", like_uniform=(4, 4))]
    priced, limits = priced_limits(budgets, graph)
    rng = np.random.default_rng(0)
    values = {name: np.add.outer(*(np.cumsum(rng.exponential(size=n)) for n in (2, 3))) for name in priced[0].names}

    def value(bits):
        return sum(values[name][(2, 4).index(w), (2, 3, 8).index(a)] for name, (w, a) in bits.items())

    found = best_within(priced, limits, values)
    within = [
        bits
        for _, bits in assignments(graph)
        if all(each.of(bits) <= limit for each, limit in zip(priced, limits, strict=True))
    ]
    assert found in within and value(found) == pytest.approx(max(map(value, within)))


def test_prices_are_those_of_the_layers_at_the_peak(relaxed):
    search = tfmp.MixedPrecisionSearch(tfmp.Budget(NAME, like_uniform=(2, 2)))
    search.set_model(relaxed)
    search.step()
    prices = {name: np.asarray(relaxed.get_layer(name).selection_cost.price) for name in ("wide", "behind", "small")}
    assert search.multiplier.value > 0
    assert prices["behind"][0, 0] > 0 and not prices["small"].any()
    np.testing.assert_allclose(prices["behind"][0] / prices["behind"][0, 0], [1, 1.5, 4])


@pytest.mark.slow
def test_a_search_meets_a_peak(relaxed):
    model = keras.models.clone_model(relaxed)
    model.set_weights(relaxed.get_weights())
    x = np.random.default_rng(0).normal(size=(64, 6, 6, 1)).astype(np.float32)
    model.compile(tfmp.SelectionOptimizer(keras.optimizers.SGD(0.0), keras.optimizers.Adam(0.3)), "mse")
    budget = tfmp.Budget(NAME, like_uniform=(4, 3))
    history = model.fit(
        x, np.zeros((64, 2)), batch_size=2, epochs=1, callbacks=[tfmp.MixedPrecisionSearch(budget)], verbose=0
    ).history
    assert history["expected_cost"][-1] < 1.03
    assignment = tfmp.discretize(model, strategy="budget", budget=budget)
    assert tfmp.cost(model, NAME, assignment) <= tfmp.cost(model, NAME, dict.fromkeys(assignment, (4, 3)))
    with pytest.raises(
        ValueError, match=f"The budget of `{NAME}` cannot be met: the cheapest assignment costs .* bits"
    ):
        tfmp.discretize(model, strategy="budget", budget=tfmp.Budget(NAME, limit=100))


def test_a_free_size():
    graph = chain(layer(CONV, selection((2,)), selection((4,), signed=False)))
    tensors = {name: dataclasses.replace(tensor, shape=(None, None, 4)) for name, tensor in graph.tensors.items()}
    with pytest.raises(ValueError, match=r"Tensor `t0` has a free size, \(None, None, 4\).*fixed sizes"):
        costs.network_cost(dataclasses.replace(graph, tensors=tensors), costs.get(NAME))
