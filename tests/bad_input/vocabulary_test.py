"""Bad input of the vocabulary, of reports and of the writer of files."""

import pytest

from tests.bad_input import rows as kinds
from tests.bad_input.rows import check_refused, choice, given, instance, rows
from tfmp import graph, joint, reports
from tfmp.costs.runtime_table import RuntimeRow, RuntimeTable
from tfmp.files.atomic_file import write_atomically
from tfmp.graph.layer_shape import KINDS

SHAPE = {"name": "conv", "kind": "conv2d", "kernel_size": (3, 3), "in_channels": 4, "out_channels": 8}
SIDES = ValueError, "two positive integers", [(3,), (3, 0), (3, 1.5), (3, True), 3, "33", None]
BLOCK = {"expansion": 3, "kernel_size": 5, "pointwise_bits": 8, "depthwise_bits": 4}
SPACE = {"stages": [(8, 1, 1)], "image_size": 8, "num_classes": 10, "stem": (8, 1), "last_channels": 16}
CANDIDATES = ValueError, "in increasing order", [(), (3, 1), (1, 1), (0,), (1.5,), (None,), "33", [[3]]]
SMALL = joint.SearchSpace(**SPACE)
NETWORK = {"space": SMALL, "choices": [joint.BlockSpec(**BLOCK)]}
FRONT = {"points": [{"x": 1, "y": 2}], "x": "x", "y": "y"}
ROW = {"shape": graph.LayerShape(**SHAPE), "container_bits": 8, "latency_us": 1.0}
NUMBER = ValueError, "a finite number", [None, kinds.NAN, kinds.INFINITY, "15", True, [15.0]]
SHARE = ValueError, "a finite number at least 0 and at most 1", [None, -0.1, 1.5, 98, kinds.NAN, "1", True]

ROWS = [
    *rows(
        "LayerShape",
        graph.LayerShape,
        SHAPE,
        name=kinds.TEXT,
        kind=choice(*KINDS),
        kernel_size=SIDES,
        strides=SIDES,
        output_size=SIDES,
        in_channels=kinds.POSITIVE_INTEGER,
        out_channels=kinds.POSITIVE_INTEGER,
        groups=kinds.POSITIVE_INTEGER,
        reads_network_input=kinds.FLAG,
    ),
    *rows(
        "CodeFormat",
        graph.CodeFormat,
        {"bits": 4, "low": -8, "high": 7},
        bits=(ValueError, "an integer from 1 to 32", [0, 33, 2.0, None, "4", True]),
        low=(ValueError, "an integer", [-8.0, "0", True]),
        high=(ValueError, "an integer", [7.0, "7", []]),
    ),
    *rows(
        "BitAssignment",
        graph.BitAssignment,
        {"bits": {}},
        bits=(TypeError, "a mapping of layer names", [None, 3, [("a", (2, 2))], "a"]),
        costs=(TypeError, "a mapping", [None, 3, []]),
        provenance=(TypeError, "a mapping", [None, 3, []]),
    ),
    *rows(
        "BlockSpec",
        joint.BlockSpec,
        BLOCK,
        skip=kinds.FLAG,
        expansion=kinds.POSITIVE_INTEGER,
        kernel_size=kinds.POSITIVE_INTEGER,
        pointwise_bits=kinds.POSITIVE_INTEGER,
        depthwise_bits=kinds.POSITIVE_INTEGER,
    ),
    *rows(
        "BlockCandidates",
        joint.BlockCandidates,
        {},
        skip=(ValueError, "some of False and True", [(), (0, 1), "no", (None,)]),
        expansion=CANDIDATES,
        kernel_size=[CANDIDATES, (ValueError, "odd positive integers", [(2,), (3, 4)])],
        pointwise_bits=(ValueError, "integers from 2 to 8", [(1, 2), (8, 9), (2, "4"), None]),
    ),
    *rows("Stage", joint.Stage, {"channels": 8}, channels=kinds.POSITIVE_INTEGER, strides=kinds.POSITIVE_INTEGER),
    *rows(
        "SearchSpace",
        joint.SearchSpace,
        SPACE,
        stages=(TypeError, "a list of `Stage`", [None, 3, "stages", {}]),
        candidates=(TypeError, "a list of `BlockCandidates`", [3, "all", None]),
        image_size=kinds.POSITIVE_INTEGER,
        num_classes=kinds.POSITIVE_INTEGER,
        stem=SIDES,
        last_channels=kinds.POSITIVE_INTEGER,
    ),
    *rows(
        "DiscreteNetwork",
        joint.DiscreteNetwork,
        NETWORK,
        space=instance("a `SearchSpace`"),
        choices=(TypeError, "a list of `BlockSpec`", [None, 3, "choices", {}]),
        provenance=(TypeError, "a mapping", [None, 3, []]),
    ),
    *rows(
        "ParetoFront",
        reports.ParetoFront,
        FRONT,
        points=(TypeError, "a list of mappings", [None, 3, "points", {}]),
        x=kinds.TEXT,
        y=kinds.TEXT,
        x_direction=choice("min", "max"),
        y_direction=choice("min", "max"),
    ),
    *rows(
        "Tolerance",
        reports.Tolerance,
        {},
        operator_equal=SHARE,
        operator_difference=kinds.NATURAL,
        folded_db=given(NUMBER),
        folded_top1=given(SHARE),
        trained_db=given(NUMBER),
        trained_top1=given(SHARE),
        reference_db=given(NUMBER),
        reference_top1=given(SHARE),
    ),
    *rows(
        "hypervolume",
        reports.ParetoFront(**FRONT).hypervolume,
        {},
        reference=(ValueError, "two finite numbers", [None, 1, (1,), (1, 2, 3), (1, kinds.NAN), "12", ("a", "b")]),
    ),
    *rows(
        "RuntimeRow",
        RuntimeRow,
        ROW,
        shape=instance("a `LayerShape`"),
        container_bits=(ValueError, "one of 8, 4, 2", [0, 3, "8", None, 8.0]),
        latency_us=kinds.NOT_NEGATIVE,
        quartiles_us=(ValueError, "two finite numbers", [(), (1.0,), None, ("a", "b")]),
    ),
    *rows(
        "RuntimeTable",
        RuntimeTable,
        {},
        conditions=(TypeError, "a mapping", [None, []]),
        rows=(TypeError, "a list of `RuntimeRow`", [None, 3, {}]),
        overhead_us=(TypeError, "a mapping", [None, []]),
    ),
    *rows(
        "write_atomically",
        write_atomically,
        {"path": "never/written", "content": "text"},
        path=[kinds.PATH, kinds.NO_PATH],
        content=(TypeError, "text or bytes", [None, 3, ["text"]]),
        overwrite=kinds.FLAG,
    ),
]


@pytest.mark.parametrize(("call", "good", "argument", "value", "error", "words"), ROWS)
def test_what_is_wrong_is_named(call, good, argument, value, error, words):
    check_refused(call, good, argument, value, error, words)
