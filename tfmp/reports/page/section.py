"""A section of a page."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from tfmp.reports.page.tables import Table


@dataclasses.dataclass(frozen=True)
class Section:
    """A section of a page: notes, pictures, and the tables of their numbers.

    Args:
        id: Its fragment of the page.
        title: Its heading.
        notes: Sentences.
        pictures: Pictures of `pictures.py` and `network_picture.py`.
        tables: Tables.
        command: A command to copy.
        parts: Parts of it that are shown on demand, each with an id of its own.
    """

    id: str
    title: str
    notes: Sequence[str] = ()
    pictures: Sequence[Any] = ()
    tables: Sequence[Table] = ()
    command: str = ""
    parts: Sequence["Section"] = ()
