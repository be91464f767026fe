"""The names that users write are importable and documented."""

import ast
import dataclasses
import inspect
import pathlib
import types

import pytest

import tfmp
import tfmp.cli

NAMES = [
    "inspect",
    "compress",
    "reports.RunReport",
    "relax",
    "fix",
    "fold",
    "discretize",
    "distill",
    "assign.by_name",
    "assign.by_sensitivity",
    "assign.register_baseline",
    "assign.by_validation",
    "quantize",
    "Reconstruction",
    "assign.at_random",
    "initialize_search",
    "export_tflite",
    "compare_tflite",
    "evaluate_tflite",
    "searched_layers",
    "simulate",
    "measure_runtime",
    "measure_sensitivity",
    "Sensitivity",
    "reports.Forecast",
    "reports.ForecastRow",
    "cost",
    "load_model",
    "width.width_for_size",
    "width.scale_width",
    "width.dual_precision",
    "width.MagnitudeVariance",
    "register_layer",
    "joint.build_network",
    "Budget",
    "joint.JointSearch",
    "BitSummaries",
    "DiscreteEvaluation",
    "MixedPrecisionSearch",
    "SelectionData",
    "SelectionOptimizer",
    "BitAssignment",
    "Tolerance",
    "costs.names",
    "costs.get",
    "quantizers.names",
    "quantizers.get",
    "layers.MixedPrecisionConv2D",
    "layers.MixedPrecisionDepthwiseConv2D",
    "layers.MixedPrecisionConv1D",
    "layers.MixedPrecisionDepthwiseConv1D",
    "layers.MixedPrecisionConv1DTranspose",
    "layers.MixedPrecisionConv2DTranspose",
    "layers.MixedPrecisionDense",
    "tuner.BudgetRange",
    "tuner.BudgetTuner",
    "tuner.MixedPrecisionHyperModel",
    "tuner.Training",
    "tuner.TuningResults",
    "tuner.new_oracle",
    "tuner.WorkerPool",
    "tuner.register_strategy",
    "search.SearchSettings",
    "quantizers.register",
    "costs.register",
    "simulator.register_preset",
    "joint.JointSettings",
    "joint.Oracle",
    "joint.Reinforce",
    "joint.DiscreteNetwork",
    "graph.LayerShape",
    "joint.SearchSpace",
    "graph.BitAssignment",
    "simulator.simulate_layer",
    "simulator.Hardware",
    "simulator.Hardware.from_preset",
]
MODULES = [
    "assign",
    "costs",
    "graph",
    "joint",
    "keras2",
    "layers",
    "operators",
    "plots",
    "quantizers",
    "reports",
    "search",
    "simulator",
    "tfmot",
    "tuner",
]


def everything():
    names = dict.fromkeys(NAMES)
    for module in MODULES:
        names.update(dict.fromkeys(f"{module}.{name}" for name in getattr(tfmp, module).__all__))
    return [name for name in names if callable(resolve(name))]


def resolve(name):
    value = tfmp
    for part in name.split("."):
        value = getattr(value, part)
    return value


@pytest.mark.parametrize("name", everything())
def test_name_is_documented(name):
    value = resolve(name)
    text = inspect.getdoc(value)
    assert text and not text.startswith(f"{value.__name__}("), "dataclasses write a docstring of their own"
    if name not in NAMES or not inspect.signature(value).parameters:
        return
    described = text.partition("Args:")[2]
    for parameter in inspect.signature(value).parameters.values():
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            assert parameter.name in described, f"`{parameter.name}` of {name} is not explained"
    assert described


LAYERS = [name for name in tfmp.layers.__all__ if name.startswith("MixedPrecision")]


@pytest.mark.parametrize(
    "name",
    [f"{module}.{name}" for module in ("layers", "keras2") for name in LAYERS]
    + ["tfmot.MixedPrecisionQuantizeConfig", "tfmot.MixedPrecisionQuantizeScheme"],
)
def test_docstring_has_every_setting_with_its_default(name):
    """The text stands once, in `SearchSettings`; `help` of a class shows it."""
    described = " ".join(inspect.getdoc(resolve(name)).split())
    assert "**settings" not in described
    is_layer = not name.startswith("tfmot")
    for field in dataclasses.fields(tfmp.search.SearchSettings):
        default = None if field.name == "signed_input" and not is_layer else field.default
        entry = described.partition(f" {field.name}: ")[2].partition("Default: ")
        assert bool(entry[0]) == (is_layer or field.name != "coupled")
        if entry[0]:
            assert ast.literal_eval(entry[2].split("`")[1]) == default
    kernel = "If True, the candidates quantize one kernel (EdMIPS, eq. 16); otherwise each has its own"
    assert kernel in described and kernel in " ".join(inspect.getdoc(tfmp.search.SearchSettings).split())


def typed():
    names = dict.fromkeys([*everything(), *tfmp.__all__, "networks.get", "networks.names", "cli.main"])
    for group in tfmp.__all__:
        names.update(dict.fromkeys(f"{group}.{name}" for name in getattr(resolve(group), "__all__", ())))
    return [name for name in names if callable(resolve(name))]


@pytest.mark.parametrize("name", typed())
def test_name_is_typed(name):
    value = resolve(name)
    functions = _functions_of(value) if isinstance(value, type) else {name: value}
    untyped = {key: missing for key, function in functions.items() if (missing := list(_untyped(function)))}
    assert not untyped, f"without annotations: {untyped}"


def _functions_of(cls):
    """The constructor and the public methods and properties of a class that the library defines, by name."""
    found = {}
    for base in reversed([base for base in cls.__mro__ if base.__module__.startswith("tfmp")]):
        for name, member in vars(base).items():
            if name.startswith("_") and name not in ("__init__", "__call__"):
                continue
            function = getattr(member, "fget", None) or getattr(member, "func", None) or member
            function = inspect.unwrap(getattr(function, "__func__", function))
            if isinstance(function, types.FunctionType) and function.__module__.startswith("tfmp"):
                found[name] = function
    return found


def _untyped(function):
    """The parameters without an annotation, and `return`."""
    signature = inspect.signature(function)
    for index, (name, parameter) in enumerate(signature.parameters.items()):
        is_self = index == 0 and name in ("self", "cls")
        if parameter.annotation is parameter.empty and not is_self:
            yield name
    if signature.return_annotation is signature.empty and function.__name__ != "__init__":
        yield "return"


# Their public functions take objects of a Keras, which has no types; what is public of them is in `typed`.
WITHOUT_TYPES = ("bindings", "mixins")
PACKAGE = pathlib.Path(tfmp.__file__).parent


def test_public_functions_of_every_other_folder_are_typed():
    untyped = []
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] not in WITHOUT_TYPES:
            functions = _public_functions(ast.parse(path.read_text(encoding="utf-8")))
            untyped += [f"{path.relative_to(PACKAGE)}: {each.name}" for each in functions if not _is_typed(each)]
    assert not untyped


def _public_functions(tree):
    """The functions of a module, and the constructors and methods of its classes, that no name calls private."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            for each in [node] if isinstance(node, ast.FunctionDef) else node.body:
                if isinstance(each, ast.FunctionDef) and (each.name == "__init__" or not each.name.startswith("_")):
                    yield each


def _is_typed(function):
    given = function.args
    parameters = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    named = [each for each in parameters if each is not None and each.arg not in ("self", "cls")]
    returns = function.returns is not None or function.name == "__init__"
    return returns and all(each.annotation is not None for each in named)


@pytest.mark.parametrize(
    ("text", "is_typed"),
    [
        ("def f(x: int, *args: int, y: int = 0, **kwargs: int) -> int: ...", True),
        ("def f(x): ...", False),
        ("def f(x: int): ...", False),
        ("def f(x: int, *args) -> int: ...", False),
        ("class A:\n def __init__(self, x: int): ...", True),
        ("class A:\n def f(self, *, x) -> int: ...", False),
        ("class A:\n def _f(self, x): ...", True),
        ("class _A:\n def f(self, x): ...", True),
    ],
)
def test_what_counts_as_typed(text, is_typed):
    assert all(map(_is_typed, _public_functions(ast.parse(text)))) == is_typed


def test_dir_lists_the_names():
    assert {name.split(".")[0] for name in NAMES} <= set(dir(tfmp))
    assert isinstance(tfmp.layers, types.ModuleType)
    with pytest.raises(AttributeError, match="no attribute 'wrong'$"):
        tfmp.wrong  # noqa: B018
    with pytest.raises(AttributeError, match="it is now `tfmp.assign.by_sensitivity`"):
        tfmp.assign_by_sensitivity  # noqa: B018
