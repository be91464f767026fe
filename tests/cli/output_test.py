"""Results go to standard output, everything else to standard error."""

import dataclasses
import json
import sys

import pytest

from tfmp.cli import output
from tfmp.graph import BitAssignment


@dataclasses.dataclass(frozen=True)
class Report:
    rows: tuple

    def __str__(self):
        return "\n".join(self.rows)


def results(*, fails=False):
    yield "found", Report(("a", "b"))
    print("a step")
    yield "assignment", BitAssignment({"conv": (2, 4)})
    if fails:
        raise ValueError("no more")
    yield "test_accuracy", 0.5


def test_text(capsys):
    output.write_results(results(), as_json=False)
    assert capsys.readouterr().out == "a\nb\na step\n\nconv  W2 A4\ntest accuracy: 0.5\n"


def test_json_is_one_object(capsys):
    with output.messages():
        made = list(results())
    assert capsys.readouterr().err == "a step\n"
    output.write_results(made, as_json=True)
    content = json.loads(capsys.readouterr().out)
    assert content["found"] == {"rows": ["a", "b"]} and content["test_accuracy"] == 0.5
    assert content["assignment"]["bits"] == {"conv": [2, 4]}


def test_results_before_an_error_are_printed(capsys):
    with pytest.raises(ValueError, match="no more"), output.progress():
        made = results(fails=True)
        next(made)
        output.write_results(made, as_json=False)
    with pytest.raises(ValueError, match="no more"):
        output.write_results(results(fails=True), as_json=True)
    assert set(json.loads(capsys.readouterr().out.removeprefix("a step\n"))) == {"found", "assignment"}
    output.write_results(iter(()), as_json=True)
    assert capsys.readouterr().out == "", "a worker has no results"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_is_shown_on_terminals(capsys, monkeypatch, is_terminal):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    with output.progress():
        print("epoch 1")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "epoch 1\n" if is_terminal else "")
