"""Every command shows an example, and a text for every option."""

import argparse
import shlex
import subprocess

import pytest

from tfmp import cli

PARSER = cli.parser()
# argparse has no public list of a parser's commands and arguments.
(COMMANDS,) = (action.choices for action in PARSER._actions if isinstance(action, argparse._SubParsersAction))


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_has_an_example_that_parses_and_a_text_for_every_option(name, capsys):
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    printed = capsys.readouterr().out
    example = printed.partition("\nexample:\n  ")[2].strip()
    program, *arguments = shlex.split(example)
    assert program == "tfmp" and arguments[0] == name
    assert PARSER.parse_args(arguments).command == name
    assert not [action.dest for action in COMMANDS[name]._actions if not action.help]


def test_every_command_has_a_line_in_the_help():
    assert tuple(COMMANDS) == cli.COMMANDS
    text = PARSER.format_help()
    assert all(f"\n    {name}" in text for name in cli.COMMANDS)


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("tfmp 0.")


def completed(script, *words):
    """Returns what bash offers for the last word."""
    quoted = shlex.join(words)
    program = f"source {script}\nCOMP_WORDS=({quoted})\nCOMP_CWORD={len(words) - 1}\n_shtab_tfmp\n"
    done = subprocess.run(
        ["bash", "-c", program + 'printf "%s\\n" "${COMPREPLY[@]}"'], capture_output=True, text=True, cwd=script.parent
    )
    return {word.rstrip() for word in done.stdout.splitlines()}


def test_bash_completes_commands_options_choices_and_files(tmp_path, capsys):
    pytest.importorskip("shtab")
    with pytest.raises(SystemExit) as ended:
        cli.main(["--completion", "bash"])
    assert ended.value.code == 0
    script = tmp_path / "completion.bash"
    script.write_text(capsys.readouterr().out)
    (tmp_path / "model.keras").touch()
    assert completed(script, "tfmp", "comp") == {"compare", "compress"}
    assert completed(script, "tfmp", "compress", "--max") == {"--max_accuracy_drop"}
    assert completed(script, "tfmp", "compress", "--target", "") == {"litert", "micro"}
    assert completed(script, "tfmp", "compress", "mod") == {"model.keras"}
