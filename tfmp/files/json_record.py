"""Reads and writes JSON records with format and version."""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfmp.checks import check_instance, check_integer, check_path, received
from tfmp.files.atomic_file import write_atomically


@dataclasses.dataclass(frozen=True)
class JsonRecord:
    """Writes and reads objects of one class as JSON with a format and a version.

    Args:
        format: Value of the key `"format"`, `"tfmp.BitAssignment"` for example.
        noun: Name of such an object in errors, `"a bit assignment"`.
        writer: The function that writes it, for errors.
        version: The newest version, which is written.
        needed: Required keys, in addition to format and version.

    Example:
        >>> record = JsonRecord("tfmp.Example", "an example", "`Example.to_json`", needed=("bits",))
        >>> record.read(record.write({"bits": 3}), lambda content: content["bits"])
        3
    """

    format: str
    noun: str
    writer: str
    version: int = 1
    needed: tuple[str, ...] = ()

    def write(
        self, content: Mapping[str, Any], path: str | os.PathLike[str] | None = None, *, overwrite: bool = False
    ) -> str:
        """Returns content as JSON text with format and version, and writes it to `path` if given.

        Raises:
            OSError: See `write_atomically`.
        """
        text = json.dumps({"format": self.format, "version": self.version, **content}, indent=1) + "\n"
        if path is not None:
            write_atomically(path, text, overwrite=overwrite)
        return text

    def read(self, source: str | os.PathLike[str], build: Callable[[dict[str, Any]], Any]) -> Any:
        """Reads a record and returns `build(content)`, with format and version removed from the content.

        Args:
            source: A path, or JSON text.
            build: Function of a dict; it may raise `KeyError`, `TypeError` and `ValueError` for a wrong dict.

        Raises:
            TypeError: If the source is neither a path nor text.
            OSError: If the file cannot be read.
            ValueError: If it is not such a record, or of a newer version; the message says what is wrong.
        """
        check_path("source", source, hint=f"Give the path of {self.noun} in JSON, or the JSON text")
        text = source if isinstance(source, str) and source.lstrip("\ufeff \t\r\n").startswith("{") else None
        label = repr(os.fspath(source)) if text is None else "JSON text"
        try:
            content = parse_json(read_text(source) if text is None else text)
            self._check_marks(content)
            return build({key: value for key, value in content.items() if key not in ("format", "version")})
        except (KeyError, TypeError, ValueError) as error:
            reason = f"without {error}" if isinstance(error, KeyError) else error
            raise ValueError(
                f"Expected {self.noun} in JSON, as {self.writer} writes it. Received: {label}: {reason}"
            ) from error

    def is_in(self, path: str | os.PathLike[str]) -> bool:
        """Returns whether a file has such a record, of any version; False if there is no file."""
        try:
            content = read_json(path, "a record")
        except (FileNotFoundError, ValueError):
            return False
        return isinstance(content, dict) and content.get("format") == self.format

    def _check_marks(self, content: Any) -> None:
        if not isinstance(content, dict):
            raise ValueError(f"not an object but {received(content)}")
        if content.get("format") != self.format:
            raise ValueError(f"without the mark `format` of {self.format!r}")
        missing = [key for key in ("version", *self.needed) if key not in content]
        if missing:
            raise ValueError(f"without {', '.join(missing)}")
        hint = f"This tfmp reads version {self.version} or older: upgrade it to read the file"
        check_integer("version", content["version"], at_least=1, at_most=self.version, hint=hint)


def built_from(kind: type, arguments: Any) -> Any:
    """Returns an object of a class, built from its arguments as a dict or a list.

    Raises:
        ValueError: If the arguments do not match.
    """
    try:
        check_instance("arguments", arguments, (dict, list, tuple), "a dict or a list")
        return kind(**arguments) if isinstance(arguments, dict) else kind(*arguments)
    except TypeError as error:
        raise ValueError(
            f"Expected the arguments of `{kind.__name__}`. Received: {received(arguments)} ({error})"
        ) from error


def read_json(path: str | os.PathLike[str], label: str) -> Any:
    """Returns the content of a JSON file; `label` is its name in errors.

    Raises:
        OSError: If the file cannot be read.
        ValueError: As in `parse_json`.
    """
    try:
        return parse_json(read_text(path))
    except ValueError as error:
        raise ValueError(f"{label} is {error}") from error


def read_text(path: str | os.PathLike[str]) -> str:
    """Returns the text of a file, whether or not it starts with a byte order mark.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not UTF-8.
    """
    try:
        with open(check_path("path", path), "rb") as file:
            return _decoded(file.read())
    except FileNotFoundError as error:
        place = f"There is no file {os.fspath(path)!r}"
        raise FileNotFoundError(f"{place}, relative to {os.getcwd()!r}. Check the path.") from error


def parse_json(text: str | bytes) -> Any:
    """Returns the content of JSON text.

    Raises:
        ValueError: If it is not JSON, not UTF-8, nested too deeply, or an object repeats a key. The message has only
            the reason; the caller adds the name of the text.
    """
    text = _decoded(text) if isinstance(text, bytes) else text.removeprefix("\ufeff")
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("not JSON that can be read: it is nested too deeply") from error


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not text in UTF-8: {error}") from error


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = ", ".join(repr(key) for key in content if keys.count(key) > 1)
        raise ValueError(f"not JSON that can be read: an object has a key twice, {twice}. Keep one of them")
    return content
