"""Invalid JSON, and records of another kind, of a newer version or with wrong content, in every reader."""

import json
import os

import pytest

from tfmp import costs, graph, joint, reports
from tfmp.costs.runtime_table import RuntimeRow, RuntimeTable
from tfmp.simulator import Hardware, read_workload

SHAPE = graph.LayerShape("conv", "conv2d", (3, 3), in_channels=4, out_channels=8)
SPACE = joint.SearchSpace([(8, 1, 1)], image_size=8, num_classes=10, stem=(8, 1), last_channels=16)
RECORDS = [
    graph.BitAssignment({"conv": (2, 4)}),
    reports.ParetoFront([{"x": 1, "y": 2}], "x", "y"),
    SPACE,
    joint.DiscreteNetwork(SPACE, [joint.BlockSpec(False, 3, 5, 8, 4)]),
    RuntimeTable({"threads": 1}, (RuntimeRow(SHAPE, 8, 1.0),), {"a": 2.0}),
]
# A key that the record must have, and a value that it cannot have.
KEYS = {
    graph.BitAssignment: ("bits", {"conv": [2]}),
    reports.ParetoFront: ("points", [{"x": 1}]),
    joint.SearchSpace: ("stages", 3),
    joint.DiscreteNetwork: ("choices", [3]),
    RuntimeTable: ("rows", [{"shape": {}}]),
}
# What each reader says about text that is no JSON for it.
BROKEN = {
    "cut": (b'{"format": ', "not JSON"),
    "empty": (b"", "not JSON"),
    "binary": (b"\xff\xfe\x00", "not text in UTF-8"),
    "deep": (b"[" * 100_000, "nested too deeply"),
    "twice": (b'{"format": 1, "layers": {"a": 1, "a": 2}}', "a key twice, 'a'"),
}
READERS = {
    **{type(record).__name__: type(record).from_json for record in RECORDS},
    "Hardware": Hardware.from_json,
    "workload": read_workload,
    "table": costs.Table.from_file,
}


def ids(record):
    return type(record).__name__


@pytest.mark.parametrize("record", RECORDS, ids=ids)
def test_a_record_is_read_as_it_was_written(record, tmp_path):
    text = record.to_json(tmp_path / "record.json")
    read = type(record).from_json
    assert read(tmp_path / "record.json") == read(str(tmp_path / "record.json")) == read(text) == record
    (tmp_path / "marked.json").write_text(text, encoding="utf-8-sig")
    assert read(tmp_path / "marked.json") == read("\ufeff" + text) == record


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_is_no_json_is_named_with_the_reason(reader, name, tmp_path):
    content, reason = BROKEN[name]
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        READERS[reader](path)
    assert repr(str(path)) in str(caught.value) and reason in str(caught.value)


@pytest.mark.parametrize("source", [3, None, b"{}", [], {}], ids=repr)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_path_is_refused_and_no_descriptor_closed(reader, source):
    descriptor = os.open(os.devnull, os.O_RDONLY)
    try:
        with pytest.raises(TypeError, match="must be a path, text or `os.PathLike`. Received: "):
            READERS[reader](descriptor if source == 3 else source)
        os.fstat(descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("reader", READERS)
def test_files_that_are_missing(reader, tmp_path):
    with pytest.raises(FileNotFoundError, match="missing.json"):
        READERS[reader](tmp_path / "missing.json")
    with pytest.raises(IsADirectoryError):
        READERS[reader](tmp_path)
    with pytest.raises(ValueError, match="not empty"):
        READERS[reader]("")


@pytest.mark.parametrize("record", RECORDS, ids=ids)
def test_records_of_another_kind_version_or_content(record, tmp_path):
    key, wrong = KEYS[type(record)]
    good = json.loads(record.to_json())
    path = tmp_path / "wrong.json"
    changes = [
        ({"format": "tfmp.Other"}, f"without the mark `format` of 'tfmp.{type(record).__name__}'"),
        ({"format": None}, "without the mark `format`"),
        ({"version": 99}, "`version` must be .* Received: 99. This tfmp reads version 1 or older: upgrade"),
        ({"version": "1"}, "`version` must be .* Received: '1'"),
        ({"version": True}, "`version` must be .* Received: True"),
        ({"version": 0}, "`version` must be .* Received: 0"),
        ({key: wrong}, ""),
        ({key: None}, ""),
    ]
    for change, message in changes:
        path.write_text(json.dumps({**good, **change}))
        with pytest.raises(ValueError, match=f"(?s)as `.*` writes it. Received: .*wrong.json.*: .*{message}"):
            type(record).from_json(path)
    for without in {"format", "version", key}:
        text = json.dumps({name: value for name, value in good.items() if name != without})
        if without != "stages":  # the default stages are those of the published space
            with pytest.raises(ValueError, match=f"JSON text: without .*{without}"):
                type(record).from_json(text)
    for text in ('{"a": 1}', json.dumps({"content": good})):
        with pytest.raises(ValueError, match="without the mark `format`"):
            type(record).from_json(text)
    path.write_text("[1, 2]")
    with pytest.raises(ValueError, match=r"not an object but \[1, 2\]"):
        type(record).from_json(path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"unit": "ms", "layers": {"c": {"4,8": 1, "4, 8": 2}}}', "must have one price"),
        ("a.json", '{"unit": "ms", "layers": {"c": {"4": 1}}}', "layer `c`: `bits` must be two integers"),
        ("a.json", '{"unit": "ms", "layers": {"c": {"a,b": 1}}}', "`bits` must be two integers.* Received: 'a,b'"),
        ("a.json", '{"unit": "ms", "layers": 3}', "`layers` must be a mapping.* Received: 3"),
        ("a.json", '{"unit": 3, "layers": {"c": {"4,8": 1}}}', "`unit` must be a text.* Received: 3"),
        ("a.json", '{"unit": "ms", "layers": {"c": {"4,8": NaN}}}', "`price` must be a finite number.* Received: nan"),
        ("a.csv", "layer,weight_bits,activation_bits,ms\nc,4,8,1\nc,4,8,2\n", "line 3: layer `c` has a price"),
        ("a.csv", "layer,weight_bits,activation_bits,ms\nc,4,8,1,5\n", "line 2: expected a layer's name"),
        ("a.csv", "layer,weight_bits,activation_bits,ms\nc,four,8,1\n", "line 2: expected a layer's name.* 'four'"),
        ("a.csv", "layer,weight_bits,activation_bits,ms\nc,4,8,nan\n", "`price` must be a finite number"),
    ],
)
def test_tables_of_costs(name, text, message, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=f"a.{name[2:]}' is no table of costs: .*{message}"):
        costs.get(str(tmp_path / name))
