"""Holds the floors and doors of CONTRIBUTING.md, from the import statements of every source file."""

import ast
import collections
import pathlib
import re
import subprocess
import sys
import textwrap

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]

# A unit is a folder of tfmp/, or a file beside them; the files of the top floor are one unit, tfmp itself.
TOP = "tfmp"
FLOORS = {
    "annotations": 0,
    "checks": 0,
    "version": 0,
    "files": 1,
    "registry": 1,
    "graph": 2,
    "reports": 3,
    "ops": 3,
    "operators": 3,
    "data": 3,
    "lowering": 4,
    "simulator": 4,
    "quantizers": 5,
    "costs": 5,
    "relaxation": 6,
    "search": 7,
    "mixins": 8,
    "bindings": 9,
    "transform": 10,
    "assign": 11,
    "networks": 11,
    "tflite": 11,
    "width": 11,
    "inspection": 12,
    "joint": 12,
    "tuner": 12,
    "compression": 13,
    "plots": 13,
    "layers": 13,
    "keras2": 13,
    "tfmot": 13,
    TOP: 14,
}
FILES = {"annotations", "checks", "registry", "layers", "keras2", "tfmot", "version"}
TOP_FILES = {"__init__", "__main__", "demo"}
TOP_FOLDERS = {"cli"}

# Units that may use less than their floor allows.
ONLY_UNITS = {
    "operators": {"graph", "checks"},
    "lowering": {"operators", "graph", "checks"},
    "simulator": {"reports", "graph", "files", "checks", "registry"},
    "costs": {"simulator", "lowering", "operators", "reports", "graph", "files", "checks", "registry", "version"},
    "plots": {"reports", "joint", "graph", "files", "checks"},
}
ONLY_PACKAGES = {
    unit: {"numpy"}
    for unit in ("checks", "registry", "files", "graph", "reports", "operators", "lowering", "simulator", "costs")
}
ONLY_PACKAGES["operators"] |= {"scipy"}  # the error function, of gelu
ONLY_PACKAGES["reports"] |= {"jinja2", "markupsafe"}  # templates of the page of a run

DOORS = {
    "keras": ("tfmp/bindings/keras3/", "tfmp/joint/", "tfmp/layers.py", "tfmp/demo.py", "tfmp/cli/"),
    "tf_keras": ("tfmp/bindings/keras2/", "tfmp/bindings/tfmot/", "tfmp/keras2.py", "tfmp/tfmot.py"),
    "tensorflow_model_optimization": ("tfmp/bindings/tfmot/", "tfmp/tfmot.py"),
    "keras_tuner": ("tfmp/tuner/",),
    "tflite_micro": ("tfmp/tflite/micro_interpreter.py",),
    "jinja2": ("tfmp/reports/page/",),
}
# The bindings of one Keras never load the other; TFMOT works on tf_keras and may use its binding.
SEPARATE = (
    ("tfmp/bindings/keras3/", ("tfmp.bindings.keras2", "tfmp.bindings.tfmot")),
    ("tfmp/bindings/keras2/", ("tfmp.bindings.keras3", "tfmp.bindings.tfmot")),
    ("tfmp/bindings/tfmot/", ("tfmp.bindings.keras3",)),
)
# Which folders beside tfmp/ a source file may import from.
PROGRAMS = {"recipes": {"recipes"}, "tools": {"tools"}, "tests": {"recipes", "tools", "tests"}}

MOST_FILES, MOST_LINES = 25, 350  # of a folder, its `__init__.py` left out; of a file
# File names that occur more than once, each for a reason.
TWINS = ("tfmp/bindings/keras2/", "tfmp/bindings/keras3/")  # the same thing for two Kerases
FAMILIES = ("tfmp/operators/", "tfmp/ops/integer/")  # one family, without TensorFlow and in it
SHARED_NAMES = {"__init__.py", "layers.py"}  # `tfmp/layers.py` is public, and those of the bindings are in backups

VAGUE_WORDS = {"util", "utils", "common", "helper", "helpers", "manager", "managers"}


def find_violations(path: str, source: str) -> list[str]:
    """What `source` does that a file at `path`, relative to the root, must not; a line each."""
    nodes = [*ast.walk(ast.parse(source, filename=path))]
    found = [*_name_violations(path), *_statement_violations(path, nodes)]
    found += [f"{line}: {what}" for line, name in _imports(nodes, path) for what in _import_violations(path, name)]
    return [f"{path}:{what}" for what in found]


def _name_violations(path):
    for part in pathlib.PurePosixPath(path).with_suffix("").parts:
        if VAGUE_WORDS & set(part.lower().split("_")):
            yield f" `{part}` names no noun of the domain: say what it holds"
    if path.startswith("tfmp/") and _unit_of_path(path) not in FLOORS:
        yield " is on no floor: give its folder one in FLOORS, or put it into a folder"


def _statement_violations(path, nodes):
    aliases = {"tensorflow"}
    for node in nodes:
        if isinstance(node, ast.Import):
            aliases |= {alias.asname for alias in node.names if alias.name == "tensorflow" and alias.asname}
    for node in nodes:
        if isinstance(node, ast.Assert) and not path.startswith("tests/"):
            yield f"{node.lineno}: `assert` validates nothing under -O: raise ValueError or TypeError"
        elif isinstance(node, ast.Attribute) and node.attr == "keras" and _root_name(node) in aliases:
            yield f"{node.lineno}: uses the Keras inside TensorFlow, which may be either Keras"


def _root_name(node):
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _imports(nodes, path):
    """Line and dotted name of every import, wherever it stands; `from a import b` counts as `a.b`."""
    package = list(pathlib.PurePosixPath(path).parts[:-1])
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *(node.module or "").split(".")] if node.module else base
            yield from ((node.lineno, ".".join([*base, alias.name])) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and _is_import_call(node.func):
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield node.lineno, name.value


def _is_import_call(function):
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)
    return name in ("import_module", "__import__")


def _import_violations(path, name):
    root, *rest = name.split(".")
    folder = path.split("/")[0]
    if root == "tensorflow" and "keras" in rest:
        yield f"imports {name}, which may be either Keras"
    if root in PROGRAMS and root not in PROGRAMS.get(folder, set()):
        yield f"imports {name}: what is in {root}/ is imported by nobody"
    if folder != "tfmp":
        return
    if root in DOORS and not path.startswith(DOORS[root]):
        yield f"imports {name}: the door to {root} is {' and '.join(DOORS[root])}"
    unit = _unit_of_path(path)
    if root == "tfmp":
        yield from _floor_violations(unit, name)
        for place, strangers in SEPARATE:
            if path.startswith(place) and any(f"{name}.".startswith(f"{stranger}.") for stranger in strangers):
                yield f"imports {name}: {place} serves users who may not have that Keras"
    elif unit in ONLY_PACKAGES and root not in sys.stdlib_module_names | ONLY_PACKAGES[unit]:
        yield f"imports {name}: {unit} uses only {' and '.join(sorted(ONLY_PACKAGES[unit]))}"


def _floor_violations(unit, name):
    target = _unit_of_name(name)
    if target == unit or unit not in FLOORS:
        return
    if target not in FLOORS:
        yield f"imports {name}, which is on no floor"
    elif FLOORS[target] >= FLOORS[unit]:
        yield f"imports {name}: {target} is on floor {FLOORS[target]}, {unit} on floor {FLOORS[unit]}"
    elif unit in ONLY_UNITS and target not in ONLY_UNITS[unit]:
        yield f"imports {name}: {unit} uses only {' and '.join(sorted(ONLY_UNITS[unit]))}"


def _unit_of_path(path):
    first, *deeper = pathlib.PurePosixPath(path).with_suffix("").parts[1:]
    if first in TOP_FOLDERS:
        return TOP
    if deeper:
        return first if first not in FILES | {TOP} else f"{first}/"
    if first in TOP_FILES:
        return TOP
    return first if first in FILES else f"{first}.py"


def _unit_of_name(name):
    """The unit that holds a dotted name; names that are no folder are the public names of tfmp itself."""
    parts = name.split(".")
    if len(parts) > 1 and parts[1] != TOP and parts[1] in FLOORS:
        return parts[1]
    if len(parts) > 1 and parts[1] not in TOP_FOLDERS and (ROOT / "tfmp" / parts[1]).is_dir():
        return f"{parts[1]}/"
    return TOP


def _sources():
    for folder in ("tfmp", "recipes", "tools", "tests"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def test_every_source_keeps_to_its_floor_and_doors():
    found = []
    for file in _sources():
        found += find_violations(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8"))
    assert not found, "\n" + "\n".join(found)


def test_what_a_type_checker_must_ignore_has_a_reason():
    lines = [line for file in (ROOT / "tfmp").rglob("*.py") for line in file.read_text(encoding="utf-8").splitlines()]
    assert not [line for line in lines if re.search(r"# type: ignore(?!\[[\w-]+\]  # \w)", line)]


def test_every_folder_is_a_package():
    # What has no `__init__.py` is imported from a clone and missing from the wheel.
    folders = {file.parent for file in (ROOT / "tfmp").rglob("*.py")}
    assert not [str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists()]


def find_crowds(lengths: dict[str, int]) -> list[str]:
    """What is too large or has a name that another file has, a line each, given the lines of every source file."""
    found = [f"{path}: {length} lines, at most {MOST_LINES}" for path, length in lengths.items() if length > MOST_LINES]
    folders, names = collections.Counter(), collections.defaultdict(list)
    for path in lengths:
        folder, _, name = path.rpartition("/")
        if name != "__init__.py":
            folders[folder] += 1
        names[name].append(path)
    found += [
        f"{folder}/: {count} files, at most {MOST_FILES}" for folder, count in folders.items() if count > MOST_FILES
    ]
    for name, paths in names.items():
        alike = any(all(path.startswith(places) for path in paths) for places in (TWINS, FAMILIES))
        if len(paths) > 1 and name not in SHARED_NAMES and not alike:
            found.append(f"{name}: {' and '.join(paths)} share a name: say in each what it holds")
    return found


def test_no_folder_is_crowded_no_file_long_and_no_name_taken_twice():
    files = sorted((ROOT / "tfmp").rglob("*.py"))
    lengths = {file.relative_to(ROOT).as_posix(): len(file.read_text("utf-8").splitlines()) for file in files}
    found = find_crowds(lengths)
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ({"tfmp/a.py": 351}, "tfmp/a.py: 351 lines"),
        ({f"tfmp/costs/a{number}.py": 9 for number in range(26)}, "tfmp/costs/: 26 files"),
        ({"tfmp/costs/energy.py": 9, "tfmp/simulator/energy.py": 9}, "share a name"),
        ({"tfmp/operators/pooling.py": 9, "tfmp/costs/pooling.py": 9}, "share a name"),
        ({"tfmp/bindings/keras2/a.py": 9, "tfmp/bindings/keras3/a.py": 9, "tfmp/bindings/a.py": 9}, "share a name"),
    ],
)
def test_finds_crowds(lengths, message):
    assert any(message in line for line in find_crowds(lengths))


@pytest.mark.parametrize(
    "lengths",
    [
        {"tfmp/a.py": 350, "tfmp/costs/__init__.py": 9, "tfmp/joint/__init__.py": 9},
        {f"tfmp/costs/{name}.py": 9 for name in ["__init__", *map(str, range(25))]},
        {"tfmp/bindings/keras2/a.py": 9, "tfmp/bindings/keras3/a.py": 9},
        {"tfmp/operators/pooling.py": 9, "tfmp/ops/integer/pooling.py": 9},
    ],
)
def test_allows_what_is_not_crowded(lengths):
    assert find_crowds(lengths) == []


def test_contributing_shows_the_floors_of_this_test():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", page, flags=re.MULTILINE)
    shown = {name: int(floor) for floor, names in rows for name in re.findall(r"`(\w+)(?:\.py)?`", names)}
    units = {unit: floor for unit, floor in FLOORS.items() if unit != TOP}
    assert shown == units | dict.fromkeys(TOP_FILES | TOP_FOLDERS, FLOORS[TOP])


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("tfmp/graph/graph.py", "import dataclasses\nimport numpy as np\nfrom tfmp.graph import layer_shape"),
        ("tfmp/ops/rounding.py", "import tensorflow as tf\nfrom tfmp.graph import LayerShape\ny = tf.round"),
        ("tfmp/costs/energy.py", "from tfmp.simulator import simulate\nfrom ..graph.layer_shape import LayerShape"),
        ("tfmp/costs/bitops.py", "from . import cost\nfrom .cost import Cost"),
        ("tfmp/bindings/keras3/layers.py", "import keras\nfrom tfmp.mixins.dense import DenseMixin"),
        ("tfmp/bindings/__init__.py", "def f():\n    from tfmp.bindings.keras3 import graph"),
        ("tfmp/bindings/tfmot/config.py", "import tf_keras\nfrom tfmp.bindings.keras2 import layers"),
        ("tfmp/layers.py", "import keras\nfrom tfmp.bindings.keras3 import layers"),
        ("tfmp/plots/frontier.py", "import matplotlib.pyplot\nfrom tfmp.graph import LayerShape"),
        ("tfmp/tflite/convert.py", "import tensorflow as tf\ntf.lite.TFLiteConverter.from_keras_model"),
        ("tfmp/cli/a.py", "import tfmp\nfrom tfmp import demo\nimport tfmp.transform.relax\nimport keras"),
        ("tfmp/demo.py", "from tfmp import layers, relax"),
        ("tfmp/reports/report.py", '"""tf.keras is a word here, and assert another."""'),
        ("tests/costs/bitops_test.py", "import keras\nfrom recipes import datasets\nassert tfmp"),
        ("recipes/resnet8_cifar10.py", "import keras\nimport tfmp\nfrom recipes.datasets import load_cifar10"),
    ],
)
def test_allows(path, source):
    assert find_violations(path, source) == []


@pytest.mark.parametrize(
    ("path", "source", "message"),
    [
        ("tfmp/graph/graph.py", "from tfmp.ops import rounding", "ops is on floor 3, graph on floor 2"),
        ("tfmp/ops/a.py", "import tfmp.simulator.energy", "simulator is on floor 4, ops on floor 3"),
        ("tfmp/search/a.py", "from tfmp import mixins", "mixins is on floor 8, search on floor 7"),
        ("tfmp/search/a.py", "from ..mixins import dense", "mixins is on floor 8, search on floor 7"),
        ("tfmp/search/a.py", "from .. import mixins", "mixins is on floor 8, search on floor 7"),
        ("tfmp/search/__init__.py", "from ..mixins import dense", "mixins is on floor 8, search on floor 7"),
        ("tfmp/transform/a.py", "def f():\n    from tfmp.tflite import interpreter", "tflite is on floor 11"),
        ("tfmp/transform/a.py", "import importlib\nimportlib.import_module('tfmp.tflite')", "tflite is on floor 11"),
        ("tfmp/transform/a.py", "import tfmp", "tfmp is on floor 14, transform on floor 10"),
        ("tfmp/transform/a.py", "from tfmp import relax", "tfmp is on floor 14, transform on floor 10"),
        ("tfmp/transform/a.py", "from tfmp.demo import main", "tfmp is on floor 14, transform on floor 10"),
        ("tfmp/tuner/a.py", "import tfmp.layers", "layers is on floor 13, tuner on floor 12"),
        ("tfmp/layers.py", "import tfmp.keras2", "keras2 is on floor 13, layers on floor 13"),
        (
            "tfmp/costs/a.py",
            "from tfmp.ops import rounding",
            "costs uses only checks and files and graph and lowering and operators and registry and reports and "
            "simulator and version",
        ),
        ("tfmp/costs/a.py", "def f():\n    import tensorflow as tf", "costs uses only numpy"),
        ("tfmp/simulator/a.py", "from tensorflow import math", "simulator uses only numpy"),
        ("tfmp/graph/a.py", "import scipy.optimize", "graph uses only numpy"),
        (
            "tfmp/plots/a.py",
            "from tfmp.costs import bitops",
            "plots uses only checks and files and graph and joint and reports",
        ),
        ("tfmp/mixins/a.py", "import keras", "the door to keras is tfmp/bindings/keras3/"),
        ("tfmp/transform/a.py", "def f():\n    from keras.models import clone_model", "the door to keras is"),
        ("tfmp/bindings/keras2/a.py", "import keras", "the door to keras is"),
        ("tfmp/bindings/keras3/a.py", "from tf_keras import layers", "the door to tf_keras is"),
        ("tfmp/bindings/keras3_extra/a.py", "import keras", "the door to keras is"),
        ("tfmp/bindings/keras2/a.py", "import tensorflow_model_optimization", "the door to tensorflow_model_opt"),
        ("tfmp/search/a.py", "__import__('keras_tuner')", "the door to keras_tuner is tfmp/tuner/"),
        ("tfmp/bindings/keras3/a.py", "from tfmp.bindings import keras2", "may not have that Keras"),
        ("tfmp/bindings/keras2/a.py", "from ..keras3.layers import Dense", "may not have that Keras"),
        ("tfmp/ops/a.py", "import tensorflow as tf\ntf.keras.layers", "2: uses the Keras inside TensorFlow"),
        ("tfmp/ops/a.py", "import tensorflow\ntensorflow.compat.v2.keras", "uses the Keras inside TensorFlow"),
        ("tests/a_test.py", "import tensorflow as tf\ntf.keras.layers", "uses the Keras inside TensorFlow"),
        ("recipes/a.py", "import tensorflow as t\nt.keras.models", "uses the Keras inside TensorFlow"),
        ("tfmp/bindings/keras2/a.py", "from tensorflow import keras", "may be either Keras"),
        ("tools/a.py", "from tensorflow.keras import layers", "may be either Keras"),
        ("tfmp/demo.py", "from recipes.datasets import load_cifar10", "recipes/ is imported by nobody"),
        ("tools/a.py", "from recipes import datasets", "recipes/ is imported by nobody"),
        ("recipes/a.py", "import tools.report", "tools/ is imported by nobody"),
        ("tfmp/graph/a.py", "from tests.graph import layer_shape_test", "tests/ is imported by nobody"),
        ("tfmp/graph/a.py", "def f(x):\n    assert x", "2: `assert` validates nothing"),
        ("tfmp/tflite/tflite_utils.py", "", "`tflite_utils` names no noun"),
        ("tfmp/common/a.py", "", "`common` names no noun"),
        ("recipes/checkpoint_manager.py", "", "`checkpoint_manager` names no noun"),
        ("tfmp/pruning/a.py", "", "is on no floor"),
        ("tfmp/extra.py", "", "is on no floor"),
        ("tfmp/layers/conv.py", "", "is on no floor"),
        ("tfmp/demo/a.py", "", "is on no floor"),
        ("tfmp/plots/a.py", "from tfmp.cli import files", "tfmp is on floor 14, plots on floor 13"),
    ],
)
def test_finds(path, source, message):
    found = find_violations(path, source)
    assert any(message in line for line in found), found


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("tfmp", ("tensorflow", "keras", "tf_keras", "tensorflow_model_optimization", "keras_tuner", "numpy")),
        (
            "tfmp.graph, tfmp.operators, tfmp.lowering, tfmp.reports, tfmp.simulator, tfmp.costs",
            ("tensorflow", "keras", "tf_keras"),
        ),
    ],
)
def test_import_loads_no_framework(modules, absent):
    program = textwrap.dedent(f"""
        import sys
        import {modules}
        print(*sorted(sys.modules.keys() & {set(absent)!r}))
    """)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
