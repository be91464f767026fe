import dataclasses
import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from tfmp.files.run_identity import array_digest, described, difference_text, digest


@dataclasses.dataclass
class Settings:
    rate: float = 0.5
    bits: tuple = (1, 2)


class Optimizer:
    def __init__(self, rate):
        self.rate = rate

    def get_config(self):
        schedule = {"class_name": "Decay", "config": {"name": f"decay_{id(self)}", "steps": 3}}
        dtype = {"class_name": "DTypePolicy", "config": {"name": "float16"}}
        return {"name": f"optimizer_{id(self)}", "rate": self.rate, "schedule": schedule, "dtype": dtype}


def test_what_is_described_is_json_without_addresses():
    value = {
        "settings": Settings(),
        "optimizer": Optimizer(np.float32(0.5)),
        "small": np.arange(3),
        "large": np.zeros((100, 2), np.float32),
        "class": Settings,
        "function": hashlib.sha256,
        "infinite": float("inf"),
        "object": object(),
    }
    found = json.loads(json.dumps(described(value), allow_nan=False))
    assert found["settings"] == {"rate": 0.5, "bits": [1, 2]}
    assert found["optimizer"] == {
        "class": f"{__name__}.Optimizer",
        "rate": 0.5,
        "schedule": {"class": "Decay", "steps": 3},
        "dtype": {"class": "DTypePolicy", "name": "float16"},
    }
    assert found["small"] == [0, 1, 2] and found["large"].startswith("float32 [100, 2] ")
    assert found["class"] == f"{__name__}.Settings" and found["infinite"] == "inf"
    assert found["object"] == "builtins.object"
    assert digest(value) == digest({**value, "optimizer": Optimizer(np.float32(0.5)), "object": object()})
    assert digest(value) != digest({**value, "optimizer": Optimizer(np.float32(0.25))})


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 3)), np.array(3.0), np.array(["a", "bc"]), np.arange(12).reshape(3, 4).T, np.array([None, "x"])],
    ids=["empty", "scalar", "texts", "transposed", "objects"],
)
def test_digests_tell_values_shapes_and_types_apart(array):
    assert array_digest(array) == array_digest(array.copy())
    others = [array[np.newaxis, ..., np.newaxis], array[np.newaxis]]
    if array.size > 1:
        others.append(np.flip(array))
    digests = {array_digest(each) for each in (array, *others)}
    assert len(digests) == 1 + len(others)


def test_every_value_of_a_large_array_counts():
    array = np.zeros((5, 1 << 20), np.float64)  # three chunks
    first = array_digest(array)
    for index in ((0, 0), (2, 7), (4, -1)):
        array[index] = 1
        assert array_digest(array) != first
        array[index] = 0
    assert array_digest(array) == first


def test_digests_are_the_same_in_another_process():
    program = (
        "import numpy as np; from tfmp.files.run_identity import *; print(digest({'b': 1}), array_digest(np.ones(3)))"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.split(maxsplit=1) == [digest({"b": 1}), array_digest(np.ones(3)) + "\n"]


def test_differences_are_few_and_short():
    was, now = {"a": {"b": 1}, "c": [1]}, {"a": {"b": 2}, "d": "x" * 100}
    text = difference_text(was, now)
    assert text.startswith("a.b: 1 then, 2 now; d: 'nothing' then, 'xxx") and text.endswith(
        "c: [1] then, 'nothing' now"
    )
    assert len(text) < 150 and difference_text(was, was) == "" and difference_text(was, {"a": {"b": 1}}, ("c",)) == ""
    was, now = ({"parts": [{"rate": 1}, {"rate": rate, "on": True}]} for rate in (2, 3))
    assert difference_text(was, now) == "parts.1.rate: 2 then, 3 now"
    many = {str(number): number for number in range(9)}
    assert difference_text({}, many).endswith("; and 5 more")


def test_a_field_of_a_later_version_counts_once_it_has_another_value():
    later = dataclasses.field(default=32, metadata={"unrecorded_default": True})
    machine = dataclasses.make_dataclass("Machine", [("lanes", int), ("output_bits", int, later)])
    assert described(machine(16)) == described(machine(16, 32)) == {"lanes": 16}
    assert described(machine(16, 8)) == {"lanes": 16, "output_bits": 8}
