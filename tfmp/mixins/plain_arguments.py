"""Documents the arguments that a layer takes from the Keras layer that it extends."""

import inspect
import re
import textwrap
from collections.abc import Iterator

_MARK = re.compile(r"^    \*\*plain: .*(\n {8}.*)*", re.MULTILINE)
_WIDTH = 120


def document_plain_arguments(cls: type) -> None:
    """Replaces the entry `**plain` in the docstring of a class by the arguments of the Keras layer that it extends.

    Their descriptions are those of the installed Keras, the defaults those of the signature. Arguments that the
    docstring describes itself keep their own entry.

    Args:
        cls: A subclass of one plain layer of either Keras.
    """
    text = inspect.cleandoc(vars(cls).get("__doc__") or "")
    if not _MARK.search(text):
        return
    plain = next(base for base in cls.__mro__ if not base.__module__.startswith("tfmp"))
    parameters = inspect.signature(vars(plain)["__init__"]).parameters
    entries = []
    for name, meaning in _described(plain):
        if name not in parameters or re.search(rf"^    {name}: ", text, re.MULTILINE):
            continue
        default = parameters[name].default
        shown = "" if default is inspect.Parameter.empty else f" Default: `{default!r}`."
        entries.append(
            textwrap.fill(
                f"{name}: {meaning}{shown}",
                _WIDTH,
                initial_indent=" " * 4,
                subsequent_indent=" " * 8,
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
    cls.__doc__ = _MARK.sub(lambda _: "\n".join(entries), text)


def _described(plain: type) -> Iterator[tuple[str, str]]:
    """Yields the names and meanings of the arguments in the docstring of a class."""
    described = inspect.cleandoc(plain.__doc__ or "").partition("Args:\n")[2]
    block = textwrap.dedent(re.split(r"^(?=\S)", described, flags=re.MULTILINE)[0])
    for entry in re.split(r"^ ?(?=\w[\w, ]*:)", block, flags=re.MULTILINE)[1:]:
        names, _, meaning = entry.partition(":")
        for name in names.split(","):
            yield name.strip(), " ".join(meaning.split())
