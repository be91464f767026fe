"""Identifies a search, so that a backup is resumed by the same search only."""

import weakref

from tfmp.files.run_identity import array_digest, described, version
from tfmp.graph.graph_identity import graph_identity

_starts = weakref.WeakKeyDictionary()  # model or optimizer: folder of a backup to what it was at the start


def search_identity(search, penalties, multipliers, data):
    """Returns JSON of all that a search knows about its run, but for the weights and the optimizer that it began with.

    Args:
        search: The callback, after `set_model`.
        penalties: Its `tfmp.search.penalty.Penalty`s.
        multipliers: Pairs of a multiplier and its state at the start.
        data: Its `SelectionData`, or None.
    """
    model, parameters, costs = search.model, search.params or {}, {}
    for penalty in penalties:
        name = penalty.priced.cost.name
        costs[f"{name} {len(costs) + 1}" if name in costs else name] = {
            "limit": penalty.limit,
            "prices": array_digest(*(table for each in penalty.priced.sums for table in each.tables.values())),
        }
    identity = {
        "tfmp": version(),
        "model": graph_identity(penalties[0].priced.graph),
        "loss": described(getattr(model, "loss", None)),
        "costs": costs,
        "multipliers": [_settings(*pair) for pair in multipliers],
        "selection_data": None if data is None else data.identity(),
        "identity": described(search.identity),
    }
    if parameters:  # those of `fit`
        identity["steps"] = parameters.get("steps")
    targets = getattr(model, "soft_targets", None)
    if targets is not None:
        identity["distillation"] = {"temperature": targets.temperature, "weight": targets.weight}
    return identity


def at_start(subject, folder, describe, *, is_resumed):
    """Returns what a model or an optimizer was when this process first trained it for a backup, else what it is now.

    A search that is interrupted and started again in one process has the model that it left, which has moved on.

    Args:
        subject: The model or optimizer.
        folder: That of the backup.
        describe: Function that returns JSON of what it is now.
        is_resumed: Whether the folder holds a backup.
    """
    known = _starts.setdefault(subject, {})
    if not (is_resumed and folder in known):
        known[folder] = describe()
    return known[folder]


def _settings(multiplier, start):
    settings = {name: value for name, value in vars(multiplier).items() if name not in start}
    return {"class": type(multiplier).__name__, **described({**settings, **start})}
