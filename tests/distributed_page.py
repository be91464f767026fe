"""Runs a program of docs/distributed.md: `python distributed_page.py WHICH FRAMEWORK FOLDER STRATEGY-RELAXATION ...`.

WHICH is the number of the program, which finds `model.keras` in FOLDER; STRATEGY is `single`, `mirrored` (two logical
CPU devices) or `workers` (TF_CONFIG says which). Each run leaves what it found in `FOLDER/STRATEGY-RELAXATION.npz`.
"""

import os
import pathlib
import re
import shutil
import sys

import numpy as np
import tensorflow as tf

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "distributed.md"
STRATEGIES = {
    "single": "tf.distribute.get_strategy()",
    "mirrored": "tf.distribute.MirroredStrategy()",
    "workers": "tf.distribute.MultiWorkerMirroredStrategy()",
}
X = np.random.default_rng(0).normal(size=(64, 6, 6, 2)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, size=64)


def program(which, framework, strategy, relaxation):
    """The program as printed, but for strategy, relaxation and learned steps; with tf_keras its names, and a backup."""
    page = PAGE.read_text(encoding="utf-8")
    text = re.findall(r"^```python\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)[which]
    text = re.sub(r"tf\.distribute\.\w+\(\)", STRATEGIES[strategy], text)
    text = text.replace("tfmp.relax(model,", f"tfmp.relax(model, relaxation={relaxation!r},")
    # In a network that is hardly trained, one code can change all outputs; the file is compared with its folded model.
    text = text.replace("verify=x_train[:16])", "verify=x_train[:16], tolerance=tfmp.Tolerance(trained_db=None))")
    # Adafactor divides gradients by their size: one that is zero but for rounding would move a step either way.
    text = text.replace("keras.optimizers.Adam(0.05))", "keras.optimizers.Adam(0.05), ranges=None)")
    if framework == "tf_keras":
        text = text.replace("import keras\n", "import tf_keras as keras\n")
        text = text.replace("tfmp.SelectionOptimizer", "tfmp.keras2.SelectionOptimizer")
        text = text.replace("tfmp.MixedPrecisionSearch", "tfmp.keras2.MixedPrecisionSearch")
        text = text.replace("like_uniform=(2, 2))", 'like_uniform=(2, 2)), backup_dir="backup"')
    return text


def found(names):
    """What is compared: logs, assignment, and every variable, as each of this process's replicas has it."""
    logs = names.get("history") or {key: [s[key] for s in names["summaries"]] for key in names["summaries"][0]}
    logs |= {f"fine_tuning_{key}": values for key, values in names.get("fine_tuning", {}).items()}
    results = {f"log/{key}": values for key, values in logs.items()} | {"log/losses": names.get("losses", [])}
    results["bits"] = [*names["assignment"].bits.values()]
    strategy = names["strategy"]
    for model in ("search_model", "fixed"):
        for index, variable in enumerate(names[model].variables if model in names else ()):
            mirrored = variable.value if hasattr(variable, "path") else variable  # Keras 3 wraps it
            copies = [np.asarray(tf.convert_to_tensor(copy)) for copy in strategy.experimental_local_results(mirrored)]
            results[f"{model}/{index}/{getattr(variable, 'path', variable.name)}"] = np.stack(copies)
    return results


def main(which, framework, folder, *runs):
    if "TF_CONFIG" not in os.environ:
        device = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    tf.config.experimental.enable_op_determinism()
    os.chdir(folder)
    for run in runs:
        names = {"x_train": X, "y_train": Y}
        text = program(int(which), framework, *run.split("-"))
        exec(compile(text, f"{PAGE}, program {which}", "exec"), names)
        np.savez(f"{run}.npz", **found(names))
        pathlib.Path("model.tflite").unlink(missing_ok=True)
        shutil.rmtree("backup", ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
