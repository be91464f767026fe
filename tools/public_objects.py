"""An extension of griffe that shows the public names of tfmp as a program sees them.

`tfmp` loads its names at their first use, and some docstrings and signatures are composed when a class is made, so that
the source alone shows neither. The extension adds the names, and takes docstrings and signatures from the objects.
"""

import functools
import importlib
import inspect
import pathlib
import re
import sys
import types

import griffe

import tfmp


def public_names():
    """Returns the names of `tfmp` and of each of its public modules, by the module."""
    modules = [value for name in tfmp.__all__ if isinstance(value := getattr(tfmp, name), types.ModuleType)]
    names = {"tfmp": [name for name in tfmp.__all__ if getattr(tfmp, name) not in modules]}
    for module in sorted(modules, key=lambda module: module.__name__):
        names[module.__name__] = getattr(module, "__all__", None) or _functions(module)
    return names


def _functions(module):
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, types.FunctionType) and value.__module__ == module.__name__ and not name.startswith("_")
    ]


class PublicObjects(griffe.Extension):
    """Puts the objects behind the public names into the tree that griffe reads from the source."""

    def on_package(self, *, pkg, loader, **kwargs):
        """Adds the public names to the tree of the package.

        Args:
            pkg: What griffe read from the source.
            loader: What has read it.
            kwargs: Not used.
        """
        if pkg.path != tfmp.__name__:
            return
        for module_name, names in public_names().items():
            module = importlib.import_module(module_name)
            place = pkg if module is tfmp else pkg[module_name.removeprefix("tfmp.")]
            for name in names:
                value = getattr(module, name)
                if isinstance(value, type | types.FunctionType):  # of a constant, the source shows all
                    place.set_member(name, griffe.Alias(name, _documented(value), parent=place))


def _documented(value):
    """Returns a class or function as griffe reads it, with its docstring and signature in the program."""
    source = _read(value.__module__)[value.__qualname__]
    if inspect.getdoc(value):
        source.docstring = griffe.Docstring(inspect.getdoc(value), parent=source, parser="google")
    for each in (source, *source.members.values()):
        if each.docstring:
            each.docstring.value = as_markdown(each.docstring.value)
    if isinstance(value, type) and "__init__" not in source.members:
        _take_signature(source, value)
    return source


def as_markdown(text):
    """Returns a docstring in which Markdown shows examples as code and `2**bits` as a power."""
    text = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)
    return re.sub(r"(?<=\w)\*\*(?=[\w(])", r"\*\*", text)


@functools.cache
def _read(module_name):
    # By itself: in the tree, a function that is imported to its package hides a module of the same name.
    path = pathlib.Path(inspect.getsourcefile(sys.modules[module_name]))
    return griffe.visit(module_name, path, path.read_text(encoding="utf-8"))


def _take_signature(source, value):
    """Adds the constructor that a class has from its bases, its fields or a decorator."""
    try:
        signature = inspect.signature(value)
    except ValueError:  # of a class without a constructor in Python
        return
    parameters = [
        griffe.Parameter(
            each.name,
            annotation=None if each.annotation is each.empty else _short(inspect.formatannotation(each.annotation)),
            kind=griffe.ParameterKind(each.kind.description),
            default=None if each.default is each.empty else repr(each.default),
        )
        for each in signature.parameters.values()
    ]
    source.set_member("__init__", griffe.Function("__init__", parameters=griffe.Parameters(*parameters)))


def _short(annotation):
    """Removes the modules from an annotation."""
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", annotation)
