"""What an argument can name, and what can be given in place of the name."""

from collections.abc import Callable
from typing import Any

from tfmp.checks import check_choice, check_instance, check_text


class Registry:
    """Maps names to classes, instances or functions, those of users among them.

    An entry has the name of its `name`, or of its `__name__` where it has none.

    Args:
        argument: The argument that takes the names, `"quantizer"`, as errors call it.
        base: The class of which every entry is a subclass or an instance.
        expected: What an entry is, in words: "a `tfmp.costs.Cost`".
        hint: The way out where a name is unknown.
        is_listed: Function of an entry; False for one that has a name but is no choice, such as what files alone name.

    Example:
        >>> registry = Registry("number", int, "an integer")
        >>> registry.register(3, "three")
        3
        >>> registry.get("three") + registry.get(4)
        7
    """

    def __init__(
        self,
        argument: str,
        base: Any,
        expected: str,
        *,
        hint: str = "",
        is_listed: Callable[[Any], bool] = lambda entry: True,
    ):
        self._argument, self._base, self._expected, self._hint = argument, base, expected, hint
        self._is_listed = is_listed
        self._entries: dict[str, Any] = {}

    def names(self) -> tuple[str, ...]:
        """The names that one can choose, in the order in which they were registered."""
        return tuple(name for name, entry in self._entries.items() if self._is_listed(entry))

    def is_known(self, name: Any) -> bool:
        """True for a name, listed or not."""
        return name in self._entries

    def is_entry(self, value: Any) -> bool:
        """True for what can be registered, and given in place of a name."""
        return isinstance(value, self._base) or (isinstance(value, type) and issubclass(value, self._base))

    def register(self, entry: Any, name: str | None = None) -> Any:
        """Adds an entry, and returns it: this decorates a class or a function as well.

        The same entry can be added again, and so can a class or function whose definition ran again, which replaces it.

        Args:
            entry: The entry.
            name: Its name; None for the one that it has.

        Raises:
            TypeError: If it is none.
            ValueError: If the name is that of another entry.
        """
        if not self.is_entry(entry):
            check_instance(self._argument, entry, (), self._expected)
        name = check_text("name", _name(entry) if name is None else name)
        if name in self._entries and not _is_same(self._entries[name], entry):
            raise ValueError(f"There is a {self._argument} {name!r} already. Choose another name.")
        self._entries[name] = entry
        return entry

    def get(self, key: Any) -> Any:
        """Returns the entry of a name, or what is given in place of a name.

        Raises:
            ValueError: If it is neither; the message lists the names.
        """
        if self.is_entry(key):
            return key
        if isinstance(key, str) and key in self._entries:
            return self._entries[key]
        return self._entries[check_choice(self._argument, key, self.names(), hint=self._hint)]

    def name_of(self, key: Any) -> str:
        """Returns the name under which `get` finds an entry, which is registered if it is new.

        Raises:
            ValueError: As `get` and `register`.
        """
        entry = self.get(key)
        if entry is not key:
            return str(key)
        return next((name for name, known in self._entries.items() if known is entry), None) or self._new(entry)

    def _new(self, entry: Any) -> str:
        self.register(entry)
        return _name(entry)


def _name(entry: Any) -> Any:
    return getattr(entry, "name", None) or getattr(entry, "__name__", None)


def _is_same(known: Any, entry: Any) -> bool:
    """True for an entry itself, or a definition that ran again, as in a notebook."""
    if known is entry or known == entry:
        return True
    places = [(getattr(each, "__module__", None), getattr(each, "__qualname__", None)) for each in (known, entry)]
    return places[0] == places[1] and None not in places[0]
