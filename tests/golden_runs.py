"""Folders of runs that were interrupted, which later versions must resume or refuse.

    python -c "from tests import golden_runs; golden_runs.write()"

rewrites `tests/golden/runs/`. Do so only where such folders are meant to change, and say which in the changelog.
"""

import pathlib
import shutil
import zipfile

import keras
import numpy as np
import tensorflow as tf

import tfmp
from tests.search_spaces import ONE
from tests.tuner import tiny_experiment as tiny
from tfmp.costs.runtime_table import RuntimeRow, RuntimeTable
from tfmp.graph import LayerShape
from tfmp.joint import JointSettings
from tfmp.joint.architecture_cost import ArchitectureCost
from tfmp.joint.cost_gradient import Reinforce
from tfmp.tuner import BudgetTuner

FOLDER = pathlib.Path(__file__).parent / "golden" / "runs"
EPOCHS = 2  # of the runs in the folder
_IMAGES = np.random.default_rng(0).normal(size=(8, 6, 6, 3)).astype(np.float32)
_LABELS = _IMAGES.mean((1, 2)).argmax(1).astype(np.int32)


def pointwise(shape, weight_bits, activation_bits):
    """A cost of the user's own."""
    return float(shape.macs * max(weight_bits, activation_bits))


def budgets():
    """One budget for each class of cost, with settings that are not the defaults."""
    prices = {(w, a): float(w * a) for w in (1, 2) for a in (1, 2)}
    measured = tfmp.costs.Table({"middle": prices}, unit="us", name="measured", others=0.0)
    shape = LayerShape("middle", "dense", in_channels=8, out_channels=8)
    latencies = RuntimeTable({"threads": 1}, (RuntimeRow(shape, 8, 1.5, (1.0, 2.0)),))
    costs = [
        "bitops",
        tfmp.costs.ModelSize(),
        tfmp.costs.TFLiteBytes("fast"),
        tfmp.costs.Energy(batch=1),
        tfmp.costs.SimulatedLatency(batch=4, objective="energy"),
        tfmp.costs.ActivationMemory(),
        tfmp.costs.PeakActivationMemory(),
        measured,
        tfmp.costs.RuntimeLatency(latencies),
        tfmp.costs.Function(pointwise, name="pointwise", unit="us"),
    ]
    return [tfmp.Budget(cost, like_uniform=(2, 2)) for cost in costs]


def tuner(directory, max_trials=2):
    """A tuner of all budgets, whose trials train nothing."""
    choices = {"selection_learning_rate": 0.02}  # version 0.1.0's
    hypermodel = tiny.hypermodel(budgets=budgets(), strategies=("untrained",), choices=choices)
    return BudgetTuner(hypermodel, directory=directory, project_name="tuner", max_trials=max_trials)


def _fill(variables):
    """Gives variables values that no initializer changes."""
    rng = np.random.default_rng(1)
    for variable in variables:
        if np.issubdtype(np.dtype(variable.dtype), np.floating):
            variable.assign(rng.uniform(0.1, 0.5, variable.shape))


def search(folder, epochs):
    """Returns the last epoch's logs and the variables of a search of bits."""
    model = tiny.build()
    _fill(model.weights)
    one_step = "lsq(granularity='tensor')"  # for each kernel, as version 0.1.0 has it
    relaxed = tfmp.relax(model, weight_bits=(1, 2), activation_bits=(2, 4), quantizer=one_step)
    optimizer = tfmp.SelectionOptimizer(keras.optimizers.SGD(0.05, momentum=0.9), keras.optimizers.Adam(0.1))
    relaxed.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    (x, y), held_out = tiny.data()
    callback = tfmp.MixedPrecisionSearch(
        [tfmp.Budget("bitops", like_uniform=(1, 4)), tfmp.Budget(tfmp.costs.Energy(batch=1), like_uniform=(2, 2))],
        temperature=(1.0, 1.0),
        backup_dir=folder,
        selection_data=tfmp.SelectionData(held_out, seed=0),
        identity={"x": x, "y": y},
    )
    history = relaxed.fit(x, y, batch_size=32, epochs=epochs, shuffle=False, verbose=0, callbacks=[callback]).history
    return {name: values[-1] for name, values in history.items()}, relaxed.get_weights()


def joint_search(folder, epochs):
    """Returns the last epoch's logs and the variables of a joint search."""
    optimizers = keras.optimizers.SGD(0.05, momentum=0.9), keras.optimizers.Adam(0.1)
    settings = JointSettings(weight_epochs=1, penalty=3.0)
    options = {"settings": settings, "optimizers": optimizers, "backup_dir": folder}
    joint = tfmp.joint.JointSearch(ONE, 60000.0, cost=Reinforce(ONE, ArchitectureCost("energy"), samples=2), **options)
    _fill(joint.supernet.variables)
    data = _IMAGES, _LABELS
    history = joint.fit(data, data, epochs=epochs, batch_size=4)
    return history[-1], [*joint.supernet.get_weights(), np.asarray(joint.logits)]


def _keep_last_epoch(folder):
    last = max(folder.glob("epoch-*"))
    for epoch in folder.glob("*"):
        if epoch != last:
            shutil.rmtree(epoch)
    path = last / "variables.npz"
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def write():
    """Writes the folders anew; `python -m` would record functions of this file as those of `__main__`."""
    tf.config.run_functions_eagerly(True)  # as the tests do: compiled, a step rounds differently
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    tiny.search(tuner(FOLDER))
    for path in (FOLDER / "tuner").rglob("*.keras"):
        path.unlink()
    shutil.rmtree(FOLDER / "tuner" / "float")
    for run in (search, joint_search):
        run(FOLDER / run.__name__, EPOCHS)
        _keep_last_epoch(FOLDER / run.__name__)
