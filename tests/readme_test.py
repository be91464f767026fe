"""The quick start runs as printed, and compares the file with its three models."""

import pathlib
import re

import keras
import numpy as np

README = pathlib.Path(__file__).resolve().parents[1] / "README.md"


def test_the_quick_start(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 96)
    images = rng.normal(scale=0.1, size=(96, 6, 6, 3)) + np.eye(3)[labels][:, None, None]
    kl = keras.layers
    layers = [kl.Conv2D(6, 3, activation="relu", name=name) for name in ("first", "second")]
    model = keras.Sequential([keras.Input((6, 6, 3)), *layers, kl.Flatten(), kl.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    model.fit(images, labels, epochs=5, verbose=0)
    model.save("model.keras")
    (program,) = re.findall(
        r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    names = {"x_train": images.astype(np.float32), "y_train": labels, "loss": loss}
    names |= {"x_test": names["x_train"], "y_test": labels}
    exec(compile(program.replace("epochs=10", "epochs=2"), str(README), "exec"), names)
    reached = names["search"].summary()
    assert reached["selection_entropy"] <= 0.15 and reached["expected_cost"] <= 1.001
    shown = capsys.readouterr().out
    for line in ("operators      ", "folded model   ", "trained model  ", "float model    "):
        assert re.search(rf"^    {line}.*(equal|dB|compute every code)", shown, flags=re.MULTILINE), shown
    assert pathlib.Path("model.tflite").exists()
