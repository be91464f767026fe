r"""Writes the table of docs/architecture.md that says which files a kind of change touches.

    python tools/change_map.py            # rewrites the table between its marks
    python tools/change_map.py --check    # fails if the page shows something else

The rule: for each kind of change there is a part of the library that such a change once added. The change touches the
files of tfmp/ whose syntax tree names that part: by an identifier, or by a text that is exactly its name. Docstrings,
comments and default values do not count. A file named after the part counts, whatever it holds.
"""

import ast
import pathlib
import re
import sys
from collections.abc import Iterator

from absl import app, flags

from tfmp.files.atomic_file import write_atomically

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
_MARKS = re.compile(r"(<!-- change map -->\n).*?(<!-- end of table -->)", re.DOTALL)

# Kind of change: the part that stands for it, and the words that name it in the library.
CHANGES = {
    "quantizer": ("`hwgq`", {"hwgq", "HWGQ"}),
    "operator of existing integer operations": ("`PReLU`", {"prelu", "PReLU"}),
    "new integer operation": ("`depth_to_space`", {"'depth_to_space'"}),
    "searchable layer class": ("`MixedPrecisionConv1D`", {"MixedPrecisionConv1D", "Conv1D", "conv1d"}),
    "argument of the layers": ("`shared_weights`", {"shared_weights"}),
    "plain Keras argument": ("`output_padding`", {"output_padding"}),
    "cost": ("`activation_memory`", {"activation_memory", "ActivationMemory"}),
    "hardware": ("`eyeriss`", {"eyeriss"}),
    "strategy": ("`ilp`", {"ilp"}),
}


def words_of(source: str) -> set[str]:
    """Returns what a source file names: identifiers as they are, and texts both as they are and in quotes."""
    tree = ast.parse(source)
    defaults = {id(node) for node in _defaults(tree)}
    words = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in defaults:
            words |= {node.value, f"'{node.value}'"}
        for field in ("id", "attr", "name", "asname", "arg"):
            word = getattr(node, field, None)
            if isinstance(word, str):
                words |= {word, word.rpartition(".")[2]}
        if isinstance(node, ast.ImportFrom):
            words.add((node.module or "").rpartition(".")[2])
    return words


def _defaults(tree: ast.AST) -> Iterator[ast.expr | None]:
    for node in ast.walk(tree):
        if isinstance(node, ast.arguments):
            yield from (*node.defaults, *node.kw_defaults)
        elif isinstance(node, ast.AnnAssign):
            yield node.value
        elif isinstance(node, ast.keyword) and node.arg == "default":
            yield node.value


def files_of_changes(root: pathlib.Path = ROOT) -> dict[str, list[str]]:
    """Returns the files of tfmp/ that each kind of change touches, relative to the root, in order."""
    touched: dict[str, list[str]] = {change: [] for change in CHANGES}
    for path in sorted((root / "tfmp").rglob("*")):
        if path.suffix not in (".py", ".json"):
            continue
        words = words_of(path.read_text(encoding="utf-8")) if path.suffix == ".py" else set()
        for change, (_, names) in CHANGES.items():
            if names & {*words, path.stem}:
                touched[change].append(path.relative_to(root).as_posix())
    return touched


def table(touched: dict[str, list[str]]) -> str:
    """Returns the table in Markdown."""
    rows = ["| Change | Seen by | Files | Which, in `tfmp/` |", "|---|---|---|---|"]
    for change, files in touched.items():
        names = ", ".join(f"`{name.removeprefix('tfmp/')}`" for name in files)
        rows.append(f"| {change} | {CHANGES[change][0]} | {len(files)} | {names} |")
    return "\n".join(rows) + "\n"


def main(_) -> None:
    """Writes the table, or checks it."""
    page = PAGE.read_text(encoding="utf-8")
    written = _MARKS.sub(lambda marks: marks[1] + table(files_of_changes()) + marks[2], page)
    if not flags.FLAGS.check:
        write_atomically(PAGE, written.encode(), overwrite=True)
    elif written != page:
        sys.exit(f"{PAGE.name} is not up to date: run `python tools/change_map.py`.")


if __name__ == "__main__":
    flags.DEFINE_bool("check", False, "Write nothing; fail if the page is not up to date.")
    app.run(main)
