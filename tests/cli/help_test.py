"""Every command shows an example, and a text for every option."""

import argparse
import shlex

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
