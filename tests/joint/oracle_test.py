import dataclasses
import os
import pathlib
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from tests.search_spaces import TINY
from tfmp.joint.architecture_cost import ArchitectureCost
from tfmp.joint.categoricals import Categoricals
from tfmp.joint.discrete_network import DiscreteNetwork
from tfmp.joint.oracle import Oracle, key
from tfmp.joint.oracle_worker import OracleFailure, OracleWorker

CATEGORICALS = Categoricals(TINY)
DRAWN = CATEGORICALS.sample(CATEGORICALS.probabilities(np.zeros(CATEGORICALS.shape)), 6, 1)
NETWORKS = [CATEGORICALS.network(indices) for indices in DRAWN]


class Unreliable:
    """Fails a few times, in a given way, before it answers; it counts in a file, because its process may die."""

    def __init__(self, path, way, times):
        self.path, self.way, self.times = pathlib.Path(path), way, times

    def __call__(self, network):
        with open(self.path, "a") as file:  # at no time is it empty again, for another process that counts
            count = file.tell()
            file.write("x")
        if count < self.times:
            if self.way == "raises":
                raise RuntimeError("the board is not there")
            if self.way == "hangs":
                time.sleep(60)
            if self.way == "dies":
                os._exit(3)
            return float("nan")
        return ArchitectureCost("bitops")(network)


class FailsBesideOthers:
    """Fails for one network; answers for another one when that has failed."""

    def __init__(self, path, network):
        self.path, self.network = pathlib.Path(path), network

    def __call__(self, network):
        if network == self.network:
            self.path.touch()
            raise RuntimeError("the board is not there")
        while not self.path.exists():
            time.sleep(0.05)
        time.sleep(1)
        return 7.0


class Unloadable:
    """Can be pickled, but not be had again."""

    def __reduce__(self):
        return int, ("no number",)

    def __call__(self, network):
        return 1.0


def test_each_network_is_asked_for_once(tmp_path):
    asked = []

    def function(network):
        asked.append(network)
        return len(asked)

    oracle = Oracle(function, cache_path=tmp_path / "cache.jsonl")
    first = oracle([*NETWORKS, NETWORKS[0]])
    np.testing.assert_array_equal(oracle(NETWORKS), first[:-1])
    assert len(asked) == len(set(NETWORKS)) == len(oracle.cache) and first[-1] == first[0]
    with open(tmp_path / "cache.jsonl", "a") as file:
        file.write('["half of a li')
    later = Oracle(lambda network: 1 / 0, cache_path=tmp_path / "cache.jsonl")
    np.testing.assert_array_equal(later(NETWORKS), first[:-1])


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '{"a": 1}\n',
        "notes of somebody\n",
        "half a note",
        '["a", 1.0]\n["b"]\n',
        '["a", "b"]\n',
        '["a", 1.0]\nhalf',
        b"\xff\xfe\n",
    ],
)
def test_a_file_of_something_else_stays_as_it_is(tmp_path, text):
    path = tmp_path / "notes.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = path.read_bytes()
    with pytest.raises(
        ValueError, match="`cache_path` must be a file that an oracle wrote.*not changed; choose another"
    ):
        Oracle(lambda network: 1.0, cache_path=path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("half", ["", "[", '["', '["b", 1'])
def test_what_a_killed_run_wrote_half_is_taken_off(tmp_path, half):
    path = tmp_path / "cache.jsonl"
    path.write_text('["a", 1.5]\n' + half)
    assert Oracle(lambda network: 1.0, cache_path=path).cache == {"a": 1.5}
    assert path.read_text() == '["a", 1.5]\n'


def test_a_relative_path_stays_where_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    oracle = Oracle(lambda network: 1.0, cache_path="cache.jsonl")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    oracle(NETWORKS[:1])
    assert (tmp_path / "cache.jsonl").exists() and not (tmp_path / "elsewhere" / "cache.jsonl").exists()


@pytest.mark.parametrize("way", ["raises", "is not finite"])
def test_asks_again(way, tmp_path):
    oracle = Oracle(Unreliable(tmp_path / "count", way, 1))
    assert oracle(NETWORKS[:1]) == ArchitectureCost("bitops")(NETWORKS[0])


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("raises", "the board is not there"),
        ("is not finite", "expected a finite number, received nan"),
        ("hangs", "no answer within 2 seconds"),
        ("dies", "its process died"),
    ],
)
def test_gives_up_with_the_name_of_the_network(way, reason, tmp_path):
    """And goes on afterwards, when the cause is gone."""
    separate = way in ("hangs", "dies")
    times = 1 if separate else 2
    arguments = {"workers": 1 + (way == "hangs"), "timeout_seconds": 2} if separate else {}
    oracle = Oracle(Unreliable(tmp_path / "count", way, times), retries=0 if separate else 1, **arguments)
    try:
        with pytest.raises(ValueError, match=reason) as caught:
            oracle(NETWORKS[:1])
        assert str(NETWORKS[0]) in str(caught.value)
        oracle.timeout_seconds = 60 if separate else None  # a busy machine may be slow
        np.testing.assert_array_equal(oracle(NETWORKS), [ArchitectureCost("bitops")(each) for each in NETWORKS])
    finally:
        oracle.close()


def test_answers_that_come_while_another_network_fails_are_kept(tmp_path):
    oracle = Oracle(FailsBesideOthers(tmp_path / "failed", NETWORKS[0]), workers=2, retries=0)
    try:
        with pytest.raises(ValueError, match="the board is not there"):
            oracle(NETWORKS[:2])
    finally:
        oracle.close()
    assert oracle.cache == {key(NETWORKS[1]): 7.0}


def test_answers_hold_for_the_layers_around_the_blocks_too():
    choices = NETWORKS[0].choices
    others = [{"image_size": 9}, {"stem": (4, 2)}, {"last_channels": 9}, {"stages": [(4,), (8, 2)]}]
    spaces = [TINY, *(dataclasses.replace(TINY, **each) for each in others)]
    assert len({key(DiscreteNetwork(space, choices)) for space in spaces}) == len(spaces)
    assert key(DiscreteNetwork(TINY.with_bits(8), choices)) == key(NETWORKS[0]) != key(NETWORKS[1])


def test_workers_that_cannot_start():
    lost = OracleWorker(lambda network: 1.0)
    for _ in range(2):
        with pytest.raises(Exception, match="pickle"):
            lost.ask(1)
    with pytest.raises(OracleFailure, match="could not import the program or the function"):
        OracleWorker(Unloadable()).ask(1)


def test_says_what_is_wrong():
    with pytest.raises(TypeError, match="must be picklable.*`workers=0`"):
        Oracle(lambda network: 1.0, workers=1)
    with pytest.raises(TypeError, match="`function` must be a function of a `DiscreteNetwork`"):
        Oracle("energy")
    with pytest.raises(ValueError, match="must be an integer, 0 or more"):
        Oracle(len, retries=-1)
    with pytest.raises(ValueError, match="only a separate process can be stopped"):
        Oracle(len, timeout_seconds=3)


def test_workers_do_not_import_from_the_current_folder(tmp_path):
    program = tmp_path / "program" / "search.py"
    program.parent.mkdir()
    program.write_text(
        textwrap.dedent("""
            import os
            from tfmp.joint.oracle_worker import OracleWorker

            def answer(argument):
                return 2 * argument

            if __name__ == "__main__":
                print(OracleWorker(answer).ask(3), os.environ.get("PYTHONSAFEPATH"))
        """)
    )
    (tmp_path / "pickle.py").write_text("open('marker', 'w').close()")
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).resolve().parents[2])}
    environment.pop("PYTHONSAFEPATH", None)
    command = [sys.executable, str(program)]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, env=environment)
    assert done.stdout == "6.0 None\n", done.stderr
    assert not (tmp_path / "marker").exists()
