"""Bad input of functions that take and return models and files, on one tiny network."""

import functools
import json

import keras
import numpy as np
import pytest

import tfmp
from tests.bad_input import rows as kinds
from tests.bad_input.rows import check_refused, choice, given, rows
from tfmp.bindings.framework import framework_of
from tfmp.tflite.file_metadata import METADATA_NAME
from tfmp.tflite.writer.packing import with_metadata
from tfmp.tflite.writer.write_tflite import write_tflite
from tfmp.transform.fold import fold_graph

BUDGET = tfmp.Budget("bitops", like_uniform=(4, 4))
BUDGETS = TypeError, "a list of `tfmp.Budget`, or one", [3, "bitops", [], kinds.THING]
IMAGES = np.random.default_rng(0).random((8, 4, 4, 1)).astype(np.float32)
MODEL = TypeError, "a Keras model", [None, 3, [], kinds.THING, np.ones(2), keras.layers.Dense(2)]
ASSIGNMENT = TypeError, "a `BitAssignment`, or a mapping", [3, [("middle", (2, 2))], kinds.THING]
LAYERS = TypeError, "a name, a pattern, a function of a layer", [3, kinds.NAN, kinds.THING]
QUANTIZER = ValueError, "the name of a quantizer, its class or an instance, or a pair", [None, 3, [], ("lsq",), {}]
FILE = [(TypeError, "a path, text or `os.PathLike`", [3, None, [], kinds.THING]), kinds.NO_PATH]
ENDS = choice("int8", "float", "search")
FUNCTION = [None, 3, "function", []]


@functools.cache
def floating():
    inputs = keras.Input((4, 4, 1))
    x = keras.layers.Conv2D(2, 1, name="middle")(keras.layers.Conv2D(2, 3, name="first")(inputs))
    return keras.Model(inputs, keras.layers.Dense(2, name="last")(keras.layers.Flatten()(x)), name="tiny")


@functools.cache
def relaxed():
    return tfmp.relax(floating(), weight_bits=(2, 4), activation_bits=(2, 4), calibration=IMAGES)


@functools.cache
def fixed():
    return tfmp.fix(relaxed(), {"middle": (2, 4)})


@pytest.fixture(autouse=True, scope="module")
def folder(tmp_path_factory):
    """Files are written, if one should be by mistake, and read where nothing else is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("files"))
        tfmp.export_tflite(fixed(), "fixed.tflite")
        yield


def with_model(argument="model", make=floating, **arguments):
    return lambda: {argument: make(), **arguments}


searched = functools.partial(with_model, "search_model", relaxed)
chosen = functools.partial(with_model, "fixed", fixed)
SIMULATED = {
    "batch": kinds.POSITIVE_INTEGER,
    "hardware": (TypeError, "a `tfmp.simulator.Hardware`, or the name", [None, 3, []]),
}

ROWS = [
    *rows(
        "relax",
        tfmp.relax,
        with_model(),
        model=MODEL,
        weight_bits=[kinds.LIST_OF_BITS_8, kinds.BITS_8],
        activation_bits=kinds.LIST_OF_BITS_8,
        quantizer=QUANTIZER,
        layers=LAYERS,
        skip=LAYERS,
        first_and_last=ENDS,
        relaxation=choice("softmax", "annealed", "gumbel"),
        shared_range=kinds.FLAG,
        shared_weights=kinds.FLAG,
        coupled=kinds.FLAG,
        seed=(ValueError, "an integer, 0 or more", ["a", -1, None, 1.5]),
    ),
    *rows(
        "layer",
        tfmp.layers.MixedPrecisionDense,
        {"units": 2},
        weight_bits=given(kinds.LIST_OF_BITS_8),
        quantizer=QUANTIZER,
        signed_input=kinds.FLAG,
        relaxation=choice("softmax", "annealed", "gumbel"),
        shared_range=kinds.FLAG,
        shared_weights=kinds.FLAG,
        coupled=kinds.FLAG,
        num_calls=kinds.POSITIVE_INTEGER,
        seed=kinds.NATURAL,
    ),
    *rows("Quantize", tfmp.layers.Quantize, {}, bits=kinds.BITS_8, signed=kinds.FLAG),
    *rows(
        "AttentionCore",
        tfmp.layers.AttentionCore,
        {"num_heads": 4, "num_key_heads": 2},
        num_heads=kinds.POSITIVE_INTEGER,
        num_key_heads=[kinds.POSITIVE_INTEGER, (ValueError, "is a multiple", [3])],
        causal=kinds.FLAG,
        dropout=(ValueError, "a finite number at least 0 and below 1", [-0.1, 1, kinds.NAN, None, "0"]),
    ),
    *rows(
        "fix",
        tfmp.fix,
        searched(assignment={"middle": (2, 4)}),
        search_model=MODEL,
        assignment=[ASSIGNMENT, (TypeError, "a `BitAssignment`", [None])],
        post_training=(ValueError, "True or False", [0, 1, None, [], "no", kinds.THING]),
        verbose=choice(0, 1),
    ),
    *rows(
        "quantize",
        tfmp.quantize,
        with_model(calibration=IMAGES),
        model=MODEL,
        bits=[
            (ValueError, "an integer, a pair", [None, "8", 2.5, kinds.THING]),
            (ValueError, "two integers from 1 to 8", [(2,), (2, 9), (2, 2.5)]),
        ],
        quantizer=QUANTIZER,
        post_training=(ValueError, "one of 'ranges', 'moments', 'reconstruction'", [False, 1, None, [], "no"]),
        loss=(TypeError, "a function", [3, "mse", []]),
        verbose=choice(0, 1),
    ),
    *rows(
        "discretize",
        tfmp.discretize,
        searched(),
        search_model=MODEL,
        strategy=choice("argmax", "budget", "sample", "multinomial"),
        budget=BUDGETS,
        seed=kinds.NATURAL,
        spend=kinds.FLAG,
    ),
    *rows("cost", tfmp.cost, with_model(cost="bitops", make=relaxed), model=MODEL, assignment=ASSIGNMENT),
    *rows("cost", tfmp.cost, with_model(), cost=(TypeError, "the name of a cost", [None, 3, []])),
    *rows(
        "assign.by_sensitivity",
        tfmp.assign.by_sensitivity,
        with_model(make=relaxed, data=IMAGES, budget=BUDGET),
        model=MODEL,
        budget=[BUDGETS, (TypeError, "a list of `tfmp.Budget`", [None])],
        loss=(TypeError, "a function of targets and outputs", [3, "mse", []]),
        divergence=given(choice("kl", "squared_error")),
        method=choice("exact", "greedy"),
        verbose=(ValueError, "one of 0, 1, 2", [3, True, "yes", None]),
    ),
    *rows(
        "measure_sensitivity",
        tfmp.measure_sensitivity,
        searched(data=IMAGES),
        search_model=MODEL,
        method=choice("output", "gradient"),
        loss=(TypeError, "a function of targets and outputs", [3, "mse", []]),
        divergence=given(choice("kl", "squared_error")),
        backup=given(kinds.PATH),
        seed=kinds.NATURAL,
        verbose=(ValueError, "one of 0, 1, 2", [3, True, "yes", None]),
    ),
    *rows(
        "assign.by_validation",
        tfmp.assign.by_validation,
        searched(score=lambda network: 1.0),
        search_model=MODEL,
        score=(TypeError, "a function of a network", FUNCTION),
        samples=kinds.POSITIVE_INTEGER,
        trials=kinds.POSITIVE_INTEGER,
        budget=BUDGETS,
        seed=kinds.NATURAL,
        spend=kinds.FLAG,
    ),
    *rows(
        "assign.at_random",
        tfmp.assign.at_random,
        with_model(make=relaxed, budget=BUDGET),
        model=MODEL,
        budget=BUDGETS,
        seed=kinds.NATURAL,
        tolerance=(ValueError, "at least 0 and at most 1", [-0.1, 1.1, kinds.NAN, None, "1"]),
    ),
    *rows(
        "initialize_search",
        tfmp.initialize_search,
        searched(assignment={"middle": (2, 4)}),
        search_model=MODEL,
        assignment=ASSIGNMENT,
        confidence=(ValueError, "a finite number above", [0, 0.5, 1, kinds.NAN, None, "0.9"]),
    ),
    *rows(
        "distill",
        tfmp.distill,
        lambda: {"student": floating(), "teacher": floating()},
        student=MODEL,
        teacher=(TypeError, "a Keras model", [None, 3, []]),
        temperature=kinds.POSITIVE_NUMBER,
        weight=kinds.POSITIVE_NUMBER,
    ),
    *rows(
        "dual_precision",
        tfmp.width.dual_precision,
        with_model(weight_bits=1),
        model=MODEL,
        weight_bits=kinds.BITS_8,
        depthwise_bits=given(kinds.BITS_8),
        activation_bits=kinds.BITS_8,
        quantizer=QUANTIZER,
    ),
    *rows("fold", tfmp.fold, chosen(), fixed=MODEL, mode=given(choice("fast", "small"))),
    *rows(
        "inspect",
        tfmp.inspect,
        with_model(),
        model=MODEL,
        quantizer=QUANTIZER,
        layers=LAYERS,
        skip=LAYERS,
        first_and_last=ENDS,
    ),
    *rows("layer_table", tfmp.layer_table, chosen(), fixed=MODEL, **SIMULATED),
    *rows(
        "simulate",
        tfmp.simulate,
        with_model(make=fixed),
        model=MODEL,
        assignment=(TypeError, "a `BitAssignment`, or a mapping", [3, [(2, 2)], kinds.THING]),
        objective=choice("latency", "energy"),
        depthwise=given(choice("single_channel", "dense", "per_group")),
        **SIMULATED,
    ),
    *rows(
        "export_tflite",
        tfmp.export_tflite,
        chosen(path="never.tflite"),
        fixed=MODEL,
        path=[kinds.PATH, kinds.NO_PATH],
        mode=given(choice("fast", "small", "float")),
        labels=(TypeError, "a list of names", [None, 3, "cat", kinds.THING]),
        batch_size=kinds.POSITIVE_INTEGER,
        input_type=given(choice("float32", "int8", "uint8")),
        output_type=given(choice("float32", "int8", "uint8")),
        overwrite=kinds.FLAG,
    ),
    *rows("compare_tflite", tfmp.compare_tflite, chosen(path="fixed.tflite", batch=IMAGES), fixed=MODEL, path=FILE),
    *rows("evaluate_tflite", tfmp.evaluate_tflite, {"data": (IMAGES, np.zeros(8))}, path=FILE),
    *rows(
        "measure_runtime",
        tfmp.measure_runtime,
        with_model(path="never.json"),
        model=MODEL,
        path=[kinds.PATH, kinds.NO_PATH],
        threads=kinds.POSITIVE_INTEGER,
        batch_size=kinds.POSITIVE_INTEGER,
        runs=kinds.POSITIVE_INTEGER,
        verbose=(ValueError, "one of 0, 1", [2, True, "yes", None]),
    ),
    *rows(
        "scale_width",
        tfmp.width.scale_width,
        with_model(multiplier=1.0),
        model=MODEL,
        multiplier=kinds.POSITIVE_NUMBER,
        fixed_ends=kinds.FLAG,
        keep=LAYERS,
    ),
    *rows(
        "width_for_size",
        tfmp.width.width_for_size,
        {"build": lambda width: floating(), "target_bits": 100, "weight_bits": 2},
        build=(TypeError, "a function of a width multiplier", FUNCTION),
        target_bits=kinds.POSITIVE_NUMBER,
        weight_bits=kinds.BITS_8,
        depthwise_bits=given(kinds.BITS_8),
        widths=(ValueError, "two finite numbers above 0", [(1,), (0, 1), (1, kinds.INFINITY), 1, "12", None]),
        tolerance=kinds.POSITIVE_NUMBER,
    ),
    *rows(
        "register_layer",
        tfmp.register_layer,
        {"layer": lambda x: x, "kind": "identity"},
        layer=(TypeError, "a class, a function or the name of a function", [None, 3, []]),
        kind=(ValueError, "one of 'relu', 'clip', 'leaky_relu'", ["", "dense", None, 3, []]),
        attributes=(TypeError, "a dict, or a function of a layer's configuration", [3, "factor", []]),
    ),
    *rows("MagnitudeVariance", tfmp.width.MagnitudeVariance, with_model(layers="*"), model=MODEL, layers=LAYERS),
]


@pytest.mark.parametrize(("call", "good", "argument", "value", "error", "words"), ROWS)
def test_what_is_wrong_is_named(call, good, argument, value, error, words):
    check_refused(call, good, argument, value, error, words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bits": None}, "`bits` must be a mapping"),
        ({"bits": [["middle", 2, 4]]}, "`bits` must be a mapping"),
        ({"bits": {"middle": [2]}}, "Layer `middle`: `bits` must be two integers"),
        ({"bits": {"middle": [2, "4"]}}, "Layer `middle`: `bits` must be two integers"),
        ({"mode": 3}, "`mode` must be a text"),
        ({"tfmp": None}, "`tfmp` must be a text"),
        ({"labels": "cat"}, "`labels` must be a list of names"),
        ({"labels": [1, 2]}, "`labels` must be a list of names. Received: 1"),
        ("[1, 2]", "`metadata` must be an object"),
        ("3", "`metadata` must be an object"),
        ("{", "not JSON"),
        ('{"mode": "fast", "mode": "small"}', "a key twice, 'mode'"),
        ("\udcff", "not text in UTF-8"),
        ("[" * 100_000, "nested too deeply"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_metadata_of_wrong_types_name_the_file_and_the_way_out(change, words):
    text = json.dumps({"tfmp": "0.1.0", "mode": "fast", "bits": {}, **change}) if isinstance(change, dict) else change
    with open("wrong.tflite", "wb") as file:
        file.write(with_metadata(plain_file(), {METADATA_NAME: text.encode(errors="surrogateescape")}))
    with pytest.raises(ValueError) as caught:
        tfmp.inspect("wrong.tflite")
    assert "'wrong.tflite'" in str(caught.value) and words in str(caught.value)
    assert str(caught.value).endswith("Export the model again.")


@functools.cache
def plain_file():
    """A file that says nothing about itself."""
    return write_tflite(fold_graph(framework_of(fixed()).read(fixed())))
