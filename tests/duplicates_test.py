"""No two places of the library share more than twelve lines, of the same text or of the same shape.

Text: the same lines one after the other, whatever their indentation. Shape: statements that are the same but for names
and constants. Blank lines, comments, docstrings, imports and `__all__` do not count.
"""

import ast
import bisect
import collections
import pathlib
import textwrap

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
MOST_LINES = 12


def shared_places(sources: dict[str, str]) -> list[str]:
    """Returns a line for each pair of places that share more than `MOST_LINES` lines.

    Args:
        sources: Path to the text of a Python file.
    """
    texts, shapes = collections.defaultdict(list), collections.defaultdict(list)
    for path, source in sources.items():
        tree = ast.parse(source, filename=path)
        numbers = _code_lines(tree, source)
        lines = [line.strip() for line in source.splitlines()]
        for start in range(len(numbers) - MOST_LINES):
            window = numbers[start : start + MOST_LINES + 1]
            texts[tuple(lines[number - 1] for number in window)].append((path, window[0], window[-1]))
        for body in _bodies(tree):
            keys = [hash(_shape(statement)) for statement in body]
            before = [bisect.bisect_left(numbers, _first_line(statement)) for statement in body]
            until = [bisect.bisect_right(numbers, statement.end_lineno) for statement in body]
            for start in range(len(body)):
                for end in range(start, len(body)):
                    if until[end] - before[start] > MOST_LINES:
                        first, last = _first_line(body[start]), body[end].end_lineno
                        shapes[tuple(keys[start : end + 1])].append((path, first, last))
    return [*_pairs("text", texts), *_pairs("shape", shapes)]


def _pairs(what, places):
    """A line for each pair of places; pairs inside of one that was reported are left out."""
    pairs = [
        (one, other)
        for same in places.values()
        for position, other in enumerate(same)
        for one in same[:position]
        if one[0] != other[0] or one[2] < other[1]
    ]
    reported = []
    for one, other in sorted(pairs, key=lambda pair: pair[0][1] - pair[0][2]):
        if not any(_is_inside(one, a) and _is_inside(other, b) for a, b in reported):
            reported.append((one, other))
    return [f"{what}: {_text(one)} ~ {_text(other)}" for one, other in reported]


def _is_inside(place, around):
    return place[0] == around[0] and around[1] <= place[1] and place[2] <= around[2]


def _text(place):
    return "{}:{}-{}".format(*place)


def _bodies(tree):
    """The lists of statements of a tree, those that do not count left out."""
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                yield [statement for statement in body if not _is_left_out(statement)]


def _is_left_out(node):
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "__all__" for target in node.targets)


def _code_lines(tree, source):
    """The numbers of the lines that count."""
    left_out = {
        number for node in ast.walk(tree) if _is_left_out(node) for number in range(node.lineno, node.end_lineno + 1)
    }
    lines = enumerate(source.splitlines(), start=1)
    return [number for number, line in lines if line.strip()[:1] not in ("", "#") and number not in left_out]


def _first_line(statement):
    decorators = getattr(statement, "decorator_list", [])
    return min(node.lineno for node in (statement, *decorators))


def _shape(node):
    """The structure of a statement as a text, without names and constants."""
    if isinstance(node, list):
        return f"[{','.join(_shape(each) for each in node if not _is_left_out(each))}]"
    if isinstance(node, ast.AST):
        fields = (_shape(value) for _, value in ast.iter_fields(node) if isinstance(value, ast.AST | list))
        return f"{type(node).__name__}({','.join(fields)})"
    return ""


def test_no_two_places_share_much():
    files = sorted((ROOT / "tfmp").rglob("*.py"))
    found = shared_places({file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in files})
    assert not found, "\n" + "\n".join(found)


_CALLS = [f"f{number}({', '.join('abcdefghijklm'[: number + 1])})" for number in range(MOST_LINES + 1)]


def function(lines, name="f"):
    return f"def {name}(a, b):\n" + "".join(f"    {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("one", "other", "what"),
    [
        ("\n".join(_CALLS), "\n".join(_CALLS), "text"),
        # Comments, blank lines, docstrings and the indentation do not count.
        ("\n\n# a comment\n".join(_CALLS), function(_CALLS[:-1]) + f"    # why\n    {_CALLS[-1]}\n", "text"),
        ("\n".join(_CALLS), "\n".join(_CALLS).replace("f", "g").replace("a", "z"), "shape"),
        (
            function(_CALLS, "one"),
            "class A:\n" + textwrap.indent(function(['"""Says it."""', *_CALLS]), "    "),
            "shape",
        ),
        (
            function(["x.y = 1", *_CALLS[1:]]),
            "def g(c, d):\n    u.v = 'w'\n" + function(_CALLS[1:]).split("\n", 1)[1],
            "shape",
        ),
    ],
)
def test_finds(one, other, what):
    assert any(
        line.startswith(what) and "one.py" in line and "other.py" in line
        for line in shared_places({"one.py": one, "other.py": other})
    )


def test_finds_two_places_of_one_file():
    assert shared_places({"a.py": "\n".join([*_CALLS, "for x in y:", *(f"    {line}" for line in _CALLS)])})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\n".join(_CALLS[1:]), "\n".join(_CALLS[1:])),
        ("\n".join(f"from a import {name}" for name in "abcdefghijklmnop"),) * 2,
        ("__all__ = [\n" + "".join(f'    "{name}",\n' for name in "abcdefghijklmnop") + "]\n",) * 2,
        ('def f():\n    """Says\n' + "\n".join(_CALLS) + '\n    """\n    return 1\n',) * 2,
        ("\n".join(_CALLS), "\n".join(reversed(_CALLS))),
    ],
)
def test_allows(one, other):
    assert shared_places({"one.py": one, "other.py": other}) == []
