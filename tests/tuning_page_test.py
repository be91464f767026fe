"""The page on tuning runs as printed, with fewer epochs."""

import pathlib
import re

from tests.tuner import tiny_experiment as tiny

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "tuning.md"


def test_the_page_runs_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny.build().save("model.keras")
    (x_train, y_train), (x_test, y_test) = tiny.data()
    programs = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    names = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    for program in programs[:3]:  # the last one starts other programs
        program = program.replace("search_epochs=4, finetune_epochs=6", "search_epochs=1, finetune_epochs=0")
        program = program.replace("Training(loss))", "Training(loss, 1, 0))")
        program = program.replace("max_accuracy_drop=0.01, minimize", "max_accuracy_drop=1.0, max_trials=1, minimize")
        exec(compile(program, str(PAGE), "exec"), names)
    assert len(programs) == 4
    assert len(names["front"].points) == 4 and {"front.json", "front.csv", "model.tflite"} <= {
        p.name for p in tmp_path.iterdir()
    }
