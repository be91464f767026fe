import dataclasses
import json
import pathlib
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmp
from tests.compiled_functions import compiled
from tests.search_spaces import ONE
from tfmp.files.finite_values import NotFiniteError
from tfmp.joint.architecture_cost import ArchitectureCost
from tfmp.joint.cost_gradient import ExactGradient, Reinforce
from tfmp.joint.joint_settings import JointSettings

pytestmark = pytest.mark.usefixtures("eagerly")
ROOT = pathlib.Path(__file__).resolve().parents[2]
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(16, 6, 6, 3)).astype(np.float32)
DATA = IMAGES, (IMAGES.mean((1, 2)).argmax(axis=1)).astype(np.int32)
TARGET = 60000.0  # nJ; without the block it is 38,705, with it at most 97,287


def joint_search(weights_seed=1, **arguments):
    keras.utils.set_random_seed(weights_seed)
    optimizers = keras.optimizers.SGD(0.05, momentum=0.9), keras.optimizers.Adam(0.1)
    arguments = {"settings": JointSettings(weight_epochs=1, penalty=3.0), "optimizers": optimizers, **arguments}
    return tfmp.joint.JointSearch(arguments.pop("space", ONE), arguments.pop("target", TARGET), **arguments)


def fit(search, epochs, *, batch_size=4, **arguments):
    return search.fit(DATA, DATA, epochs=epochs, batch_size=batch_size, seed=5, **arguments)


def values(search):
    optimizers = search.weights_optimizer, search.controller_optimizer
    variables = [*search.supernet.variables, search.logits, *(v for each in optimizers for v in each.variables)]
    return [np.asarray(tf.convert_to_tensor(variable)) for variable in variables]


class Killed(Exception):
    pass


@pytest.mark.slow
def test_search_that_is_broken_off_ends_as_the_unbroken_one(tmp_path):
    def start(**arguments):
        return joint_search(cost=Reinforce(ONE, ArchitectureCost("energy"), samples=3), **arguments)

    def kill(entry):
        if entry["epoch"] == 1:
            raise Killed

    unbroken = start()
    fit(unbroken, 3, batch_size=8)
    with pytest.raises(Killed):
        fit(start(backup_dir=tmp_path / "search"), 3, batch_size=8, report=kill)
    resumed = start(backup_dir=tmp_path / "search")
    fit(resumed, 3, batch_size=8)
    assert resumed.history == unbroken.history and len(unbroken.history) == 3
    assert unbroken.history[0]["expected_cost"] is None and unbroken.history[2]["expected_cost"] > 0
    for found, expected in zip(values(resumed), values(unbroken), strict=True):
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match="another search. batch_size: 8 then, 4 now"):
        fit(resumed, 4)
    with pytest.raises(ValueError, match="has 3 complete epochs. Expected 2 or fewer"):
        fit(resumed, 2, batch_size=8)
    resumed.target = TARGET / 2
    with pytest.raises(ValueError, match="another search. target: 60000.0 then, 30000.0 now"):
        fit(resumed, 4, batch_size=8)


def run(folder, *arguments):
    command = [sys.executable, "-m", "tests.joint.killed_joint_search", str(folder), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    expected = 0 if "never" in arguments else -signal.SIGKILL
    assert done.returncode == expected, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("cost", ["exact", "reinforce"])
def test_search_that_is_killed_in_every_epoch_ends_as_the_unbroken_one(cost, tmp_path):
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    for folder in (unbroken, broken):
        folder.mkdir()
    run(unbroken, cost, "never", "0")
    for epoch in ("0", "1"):
        for death in ("while_saving", "after"):
            run(broken, cost, death, epoch)
    run(broken, cost, "while_saving", "2")
    run(broken, cost, "never", "2")
    histories = [json.loads((folder / f"{cost}.json").read_text()) for folder in (unbroken, broken)]
    assert histories[0] == histories[1] and len(histories[0]) == 3
    with np.load(unbroken / f"{cost}.npz") as one, np.load(broken / f"{cost}.npz") as other:
        assert one.files == other.files and len(one.files) > 50
        for array in one.files:
            np.testing.assert_array_equal(other[array], one[array])


def changed_fit(folder, *, data=DATA, seed=5, **arguments):
    joint_search(backup_dir=folder, **arguments).fit(data, DATA, epochs=3, batch_size=4, seed=seed)


CHANGES = {
    "weights": ({"weights_seed": 2}, "weights: .* then, .* now.*random weights are the same after `set_random_seed`"),
    "model": ({"space": dataclasses.replace(ONE, last_channels=12)}, "space.last_channels: 8 then, 12 now"),
    "bits": ({"space": ONE.with_bits(8)}, "space.candidates: .* then, .* now"),
    "target": ({"target": 2 * TARGET}, "target: 60000.0 then, 120000.0 now"),
    "settings": ({"settings": JointSettings(weight_epochs=2, penalty=3.0)}, "settings.weight_epochs: 1 then, 2 now"),
    "rate": (
        {"optimizers": (keras.optimizers.SGD(0.1, momentum=0.9), keras.optimizers.Adam(0.1))},
        "optimizers.weights.learning_rate: 0.05\\d* then, 0.1",
    ),
    "loss": ({"loss": lambda labels, logits: 0.0}, "loss: 'tfmp.joint.cross_entropy.cross_entropy' then"),
    "cost": ({"cost": "bitops"}, "cost.cost: 'energy' then, 'bitops' now"),
    "data": ({"data": (IMAGES + 1, DATA[1])}, "training: .*float32 .16, 6, 6, 3. .*then"),
    "seed": ({"seed": 6}, "seed: 5 then, 6 now"),
}


def contents(folder):
    """Every file of a backup but the locks, which an attempt may leave."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.parent.name != "locks"}


@pytest.mark.slow
def test_a_killed_search_is_not_taken_up_with_other_settings(tmp_path):
    run(tmp_path, "exact", "after", "0")
    folder = tmp_path / "exact"
    before = contents(folder)
    for changed, message in CHANGES.values():
        with pytest.raises(ValueError, match=f"another search.*{message}"):
            changed_fit(folder, **changed)
    assert contents(folder) == before, "nothing is lost"
    changed_fit(folder)


def test_what_is_not_finite_ends_the_search(tmp_path):
    """It is found in data before any work where they are arrays, else in the batch; it is never saved."""
    wrong, search = IMAGES.copy(), joint_search(backup_dir=tmp_path / "search")
    wrong[9, 0, 1, 2] = np.nan
    batches = [(images[:8], DATA[1][:8]) for images in (IMAGES, wrong[8:])]
    with pytest.raises(NotFiniteError, match=r"`training images` must be finite.* at index \[9, 0"):
        search.fit((wrong, DATA[1]), DATA, epochs=1)
    with pytest.raises(ValueError, match=r"`validation labels` must hold class indices from 0 to 2"):
        search.fit(DATA, (IMAGES, DATA[1] + 1), epochs=1)
    with pytest.raises(NotFiniteError, match=r"`images in step 2 of epoch 1` must be finite.* at index \[1"):
        search.fit(batches, batches[:1], epochs=1)
    assert not any(path.name.startswith("epoch") for path in (tmp_path / "search").iterdir())
    with pytest.raises(NotFiniteError, match="variable `.*` is not finite before the first step"):
        fit(search, 1)
    rates = keras.optimizers.SGD(1e38), keras.optimizers.Adam(0.1)
    with pytest.raises(NotFiniteError, match="loss of the weights is not finite in step .*The batch is: the"):
        fit(joint_search(optimizers=rates), 2)


@pytest.fixture(scope="module")
def searched():
    search = joint_search()
    with compiled():
        fit(search, 8)
    return search


@pytest.mark.default_cases("exact-*")
@pytest.mark.parametrize(("kind", "lowest"), [("exact", 0.95), ("reinforce", 0.8)])
def test_cost_alone_goes_down_to_the_target_and_no_further(kind, lowest):
    """Nothing drives it up again here; so that an estimate with noise, whose every excess counts, ends lower."""
    cost = Reinforce(ONE, ArchitectureCost("energy"), samples=4) if kind == "reinforce" else "energy"
    search = joint_search(cost=cost, optimizers=None)
    exact, expected = ExactGradient(ONE), []
    for step in range(150):
        expected.append(exact.estimate(np.asarray(search.logits)).expected)
        search._move_logits(np.zeros(search.categoricals.shape), (step,))
    assert expected[0] > 1.1 * TARGET
    assert lowest < np.mean(expected[-40:]) / TARGET < 1.05


def test_two_sided_penalty_spends_what_it_may():
    search = joint_search(optimizers=None, settings=JointSettings(two_sided=True), target=75000.0)
    exact = ExactGradient(ONE)
    for step in range(100):
        search._move_logits(np.zeros(search.categoricals.shape), (step,))
    assert exact.estimate(np.zeros(search.categoricals.shape)).expected < 0.9 * search.target
    assert exact.estimate(np.asarray(search.logits)).expected == pytest.approx(search.target, rel=0.02)


def test_search_learns(searched):
    assert searched.history[-1]["loss"] < searched.history[0]["loss"]
    assert searched.history[-1]["entropy"] < 1 and searched.entropy() == searched.history[-1]["entropy"]
    temperatures = [entry["temperature"] for entry in searched.history]
    np.testing.assert_allclose(temperatures, 5 * np.exp(-0.045 * np.arange(8)), rtol=1e-6)


def test_derived_networks(searched):
    most_probable = searched.derive()
    assert most_probable == searched.categoricals.network(searched.probabilities().argmax(axis=1))
    assert most_probable.provenance["cost"] == ArchitectureCost("energy")(most_probable)
    within = searched.derive(samples=30)
    assert within.provenance["cost"] <= TARGET and within.provenance["strategy"] == "best_of_samples"
    batches = [(IMAGES[:8], DATA[1][:8])]
    before = values(searched)
    best = searched.derive(samples=30, validation=batches)
    assert searched.restricted_loss(best, batches) <= searched.restricted_loss(within, batches)
    for found, expected in zip(values(searched), before, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert searched.derive(samples=30, validation=iter(batches)) == best
    assert searched.derive(samples=30, validation=lambda epoch: batches) == best
    assert searched.derive(samples=2, validation=(IMAGES, DATA[1]), batch_size=8).provenance["cost"] <= TARGET
    for none in ([], iter([])):
        with pytest.raises(ValueError, match="at least one batch of images and labels. Received none"):
            searched.derive(samples=2, validation=none)


def test_networks_that_spend_the_target():
    search = joint_search(target=94000.0)
    assert search.derive(samples=99).provenance["cost"] < 0.5 * 94000
    assert 0.99 * 94000 <= search.derive(samples=99, spend=0.99).provenance["cost"] <= 94000
    with pytest.raises(ValueError, match="and costs 93999.9 or more; they cost from 38705"):
        search.derive(samples=99, spend=0.999999)
    with pytest.raises(ValueError, match="`spend` must be a finite number at least 0 and below 1. Received: 1.5"):
        search.derive(samples=3, spend=1.5)


def test_no_network_within_an_impossible_target():
    """Four are drawn, of which three skip the only block and count as one."""
    with pytest.raises(ValueError, match="None of 2 networks is within the target of 1;"):
        joint_search(target=1.0).derive(samples=3)


@pytest.mark.parametrize("order", ["first", "second"])
def test_controller_step_leaves_the_supernet_as_it_was(order):
    search = joint_search(settings=JointSettings(order=order))
    before = values(search)
    batch = tuple(tf.constant(each[:8]) for each in DATA)
    found = {}
    for step_size in (0.0, 0.5):
        value, gradient = search.trainer.gradient(batch, batch, seed=(0,), temperature=1.0, step_size=step_size)
        found[step_size] = gradient.numpy()
    for after, expected in zip(values(search), before, strict=True):
        np.testing.assert_array_equal(after, expected)
    open_choices = (search.categoricals.counts > 1)[:, None] & (search.categoricals.mask > 0)
    assert np.isfinite(value) and (found[0.5][open_choices] != 0).all() and not found[0.5][~open_choices].any()
    # The step on the copy, and the way through it, matter in the second order alone.
    assert np.allclose(found[0.0], found[0.5]) == (order == "first")


@pytest.mark.slow
def test_failing_oracle_names_the_network_and_keeps_the_state(tmp_path):
    asked = []

    def oracle(network):
        asked.append(network)
        if len(asked) > 3:
            raise RuntimeError("out of paper")
        return 2 * TARGET

    search = joint_search(cost=oracle, backup_dir=tmp_path / "search")
    with pytest.raises(ValueError, match="out of paper") as caught:
        fit(search, 3)
    assert "stage1_block1" in str(caught.value)
    assert (tmp_path / "search" / "epoch-00001").is_dir()


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match="`target` must be a finite number above 0"):
        joint_search(target=0)
    with pytest.raises(ValueError, match="`order` must be one of 'first', 'second'"):
        JointSettings(order="third")
    with pytest.raises(ValueError, match="`temperature` must be a finite number above 0"):
        JointSettings(temperature=0.0)
    search = joint_search()
    with pytest.raises(ValueError, match="at least 64, one batch. Received: 16 images and 16 labels"):
        search.fit(DATA, DATA, epochs=1)
    with pytest.raises(ValueError, match="of either part. Received: 1 for the weights and 0 for the controller"):
        search.fit([DATA], [], epochs=1)
