"""A quantizer's name with what its class is told beside bits and sign, `"moving_range(momentum=0.9)"`."""

import ast
import dataclasses
from collections.abc import Mapping
from typing import Any


def options_of(quantizer: Any) -> dict[str, Any]:
    """Returns the arguments of an instance that differ from the defaults of its class, without bits and sign."""
    fields = [field for field in dataclasses.fields(quantizer) if field.init and field.name not in ("bits", "signed")]
    values = {field.name: getattr(quantizer, field.name) for field in fields}
    return {field.name: values[field.name] for field in fields if values[field.name] != field.default}


def written(name: str, options: Mapping[str, Any]) -> str:
    """Returns the text of a name and options.

    Raises:
        ValueError: If an option is no number, text, or tuple of these, which the text could hold.
    """
    for key, value in options.items():
        if not _is_literal(value):
            raise ValueError(
                f"`{key}` of quantizer `{name}` must be a number, a text or a tuple of these, since models are saved "
                f"with it. Received: {value!r}. Make it a class attribute of a subclass with its own name."
            )
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in sorted(options.items()))})" if options else name


def read(text: str) -> tuple[str, dict[str, Any]]:
    """Returns name and options of a text; the text and no options where it is no such text."""
    try:
        call = ast.parse(text, mode="eval").body
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args and call.keywords:
            return call.func.id, {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    except (SyntaxError, ValueError):
        pass
    return text, {}


def _is_literal(value):
    try:
        return ast.literal_eval(repr(value)) == value
    except (SyntaxError, ValueError):
        return False
