"""The demo: from a Keras model to a mixed-precision TFLite file and a report, on small real images."""

import os
import pathlib
import sys

import numpy as np

import tfmp
from tfmp.files.atomic_file import check_writable

_UNIFORM_BITS = (2, 2)
_FLOAT_EPOCHS, _SEARCH_EPOCHS, _FINETUNE_EPOCHS = 25, 15, 25
_BATCH_SIZE = 32


def load_digits(seed: int = 0) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Returns the 1,797 handwritten digits of scikit-learn as `(x_train, y_train), (x_test, y_test)`.

    Images are float32 `[N, 8, 8, 1]` from 0 to 1; 1,437 train and 360 test.

    Raises:
        ImportError: If scikit-learn is not installed.
    """
    try:
        from sklearn import datasets, model_selection
    except ImportError as error:
        raise ImportError("The demo's images come from scikit-learn: `pip install tfmp[demo]`.") from error
    images, labels = datasets.load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 8, 8, 1)
    x_train, x_test, y_train, y_test = model_selection.train_test_split(
        images, labels, test_size=0.2, random_state=seed, stratify=labels
    )
    return (x_train, y_train), (x_test, y_test)


def run(
    output: str | os.PathLike[str] = "tfmp_demo", *, overwrite: bool = False, seed: int = 0, verbose: int = 0
) -> dict[str, float]:
    """Trains, searches, fixes, fine-tunes, exports and reports; prints a table and writes its files to a folder.

    Args:
        output: Folder for `model.tflite`, `assignment.json` and `energy.json`; created if missing.
        overwrite: True to replace existing files.
        seed: Integer for weights, order and noise.
        verbose: As in `fit`.

    Returns:
        Accuracies on the test images by name: `float`, `uniform`, `mixed`, `file`.

    Raises:
        OSError: If a file exists and `overwrite` is False, or the folder cannot be written; before any training.
    """
    import keras

    folder = pathlib.Path(output).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / name for name in ("model.tflite", "assignment.json", "energy.json")}
    for path in paths.values():
        check_writable(path, overwrite)
    keras.utils.set_random_seed(seed)
    (x_train, y_train), test = load_digits()

    def announce(step):
        print(step, file=sys.stderr, flush=True)

    def compile_model(model, optimizer):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])

    def train(model, epochs, learning_rate):
        steps = epochs * -(-len(x_train) // _BATCH_SIZE)
        compile_model(model, keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps)))
        model.fit(x_train, y_train, batch_size=_BATCH_SIZE, epochs=epochs, verbose=verbose)
        return float(model.evaluate(*test, verbose=0)[1])

    announce(f"1/5 train in floating point, {_FLOAT_EPOCHS} epochs")
    model = tfmp.networks.get("digits_cnn")(keras)
    accuracies = {"float": train(model, _FLOAT_EPOCHS, 3e-3)}

    announce(f"2/5 train at a uniform W{_UNIFORM_BITS[0]}A{_UNIFORM_BITS[1]} for comparison")
    weight_bits, activation_bits = _UNIFORM_BITS
    uniform = tfmp.relax(model, weight_bits=(weight_bits,), activation_bits=(activation_bits,), calibration=x_train)
    accuracies["uniform"] = train(uniform, _SEARCH_EPOCHS + _FINETUNE_EPOCHS, 2e-3)

    announce(f"3/5 search bits at the same BitOps, {_SEARCH_EPOCHS} epochs")
    search_model = tfmp.relax(model, calibration=x_train, seed=seed)
    search = tfmp.MixedPrecisionSearch(budget=tfmp.Budget("bitops", like_uniform=_UNIFORM_BITS))
    compile_model(search_model, tfmp.SelectionOptimizer(keras.optimizers.Adam(1e-3)))
    search_model.fit(
        x_train, y_train, batch_size=_BATCH_SIZE, epochs=_SEARCH_EPOCHS, callbacks=[search], verbose=verbose
    )
    assignment = tfmp.discretize(search_model, strategy="budget", budget=search.budget)

    announce(f"4/5 train at the chosen bits, {_FINETUNE_EPOCHS} epochs")
    fixed = tfmp.fix(search_model, assignment, calibration=x_train)
    accuracies["mixed"] = train(fixed, _FINETUNE_EPOCHS, 2e-3)

    announce("5/5 export, run the file, simulate Bit Fusion")
    report = tfmp.export_tflite(fixed, paths["model.tflite"], verify=test[0], reference=model, overwrite=overwrite)
    accuracies["file"] = tfmp.evaluate_tflite(paths["model.tflite"], test)
    assignment.to_json(paths["assignment.json"], overwrite=overwrite)
    tfmp.simulate(fixed).to_json(paths["energy.json"], overwrite=overwrite)

    print(tfmp.layer_table(fixed))
    print()
    uniform_bitops, mixed_bitops = tfmp.cost(uniform, "bitops"), tfmp.cost(fixed, "bitops")
    print(f"BitOps: uniform {uniform_bitops:,.0f}, mixed {mixed_bitops:,.0f} ({mixed_bitops / uniform_bitops:.1%})")
    print(f"Accuracy on {len(test[0])} test images: " + ", ".join(f"{k} {v:.2%}" for k, v in accuracies.items()))
    print()
    print(report)
    return accuracies
