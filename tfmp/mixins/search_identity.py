"""Identifies a search, so that only the same search resumes a backup."""

import weakref
from collections.abc import Mapping
from typing import Any

from tfmp import quantizers
from tfmp.files.run_identity import array_digest, described, version
from tfmp.graph.graph_identity import graph_identity

_SHARED_STEPS_SINCE = "0.2.0"  # the last change of the gradient of a step that several bits share
_starts: weakref.WeakKeyDictionary[Any, Any] = (
    weakref.WeakKeyDictionary()
)  # model or optimizer to a dict from the folder of a backup to its description at the start


def search_identity(callback, search, data, backup):
    """Returns JSON that must be equal in a search and the one that resumes its backup.

    Args:
        callback: The callback, after `set_model`.
        search: Its `BitSearch`.
        data: Its `SelectionData`, or None.
        backup: Its `SearchBackup`.
    """

    def weights():
        return array_digest(*(variable.numpy() for variable in callback.start_variables()))

    model, optimizer, parameters = callback.model, callback.model.optimizer, callback.params or {}
    is_resumed = bool(backup.epochs())
    multipliers = zip(search.multipliers, search.multiplier_starts, strict=True)
    identity = {
        "tfmp": version(since=_SHARED_STEPS_SINCE) if _shares_steps(search.layers.values()) else version(),
        "model": graph_identity(search.penalties[0].priced.graph),
        "loss": described(getattr(model, "loss", None)),
        "costs": _costs(search.penalties),
        "multipliers": [_settings(*pair) for pair in multipliers],
        "selection_data": None if data is None else data.identity(),
        "identity": described(callback.identity),
        "optimizer": at_start(optimizer, backup.folder, lambda: described(optimizer), is_resumed=is_resumed),
        "freeze_above": None if search.decided is None else search.decided.threshold,
        "weights": at_start(model, backup.folder, weights, is_resumed=is_resumed),
    }
    if parameters:  # arguments of `fit`
        identity["steps"] = parameters.get("steps")
    if search.schedule is not None:
        identity["search_steps"] = callback.steps
        if parameters and callback.steps is None:
            identity["epochs"] = parameters.get("epochs")
    targets = getattr(model, "soft_targets", None)
    if targets is not None:
        identity["distillation"] = {"temperature": targets.temperature, "weight": targets.weight}
    is_drawn = any(getattr(layer, "relaxation", "") == "gumbel" for layer in search.layers.values())
    if is_drawn or search.decided is not None:
        identity["names"] = list(search.layers)  # they determine noise and decisions
    if search.has_temperature:
        identity["temperature"] = list(search.temperature)
        if parameters and search.temperature[0] != search.temperature[1]:
            identity["epochs"] = parameters.get("epochs")
    return identity


def _shares_steps(layers):
    selectors = (selector for layer in layers for selector in (layer.weight_selector, layer.activation_selector))
    return any(
        selector.shared_range and len(selector.bits) > 1 and isinstance(selector.quantizers[-1], quantizers.LSQ)
        for selector in selectors
        if selector is not None
    )


def with_quantizer_options(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the identity in a backup, in which version 0.1.0 did not name every option of the quantizers."""
    model = identity.get("model")
    if not isinstance(model, Mapping) or not isinstance(layers := model.get("layers"), Mapping):
        return dict(identity)
    named = {name: _with_options(config) for name, config in layers.items()}
    return {**identity, "model": {**model, "layers": named}}


def _with_options(config):
    quantizer = config.get("quantizer") if isinstance(config, Mapping) else None
    names = [quantizer] if isinstance(quantizer, str) else quantizer
    if not isinstance(names, list) or not all(isinstance(name, str) and quantizers.is_known(name) for name in names):
        return config
    saved = [quantizers.saved_name(quantizers.read_saved_name(name)) for name in names]
    return {**config, "quantizer": saved[0] if isinstance(quantizer, str) else saved}


def _costs(penalties):
    """Returns the limit and a digest of the prices of each cost."""
    costs = {}
    for penalty in penalties:
        name = penalty.priced.cost.name
        costs[f"{name} {len(costs) + 1}" if name in costs else name] = {
            "limit": penalty.limit,
            "prices": array_digest(*(table for each in penalty.priced.sums for table in each.tables.values())),
        }
    return costs


def at_start(subject, folder, describe, *, is_resumed):
    """Returns the description of a model or optimizer at the time when this process first trained it for a backup.

    If a search is interrupted and started again in the same process, its model has changed in the meantime.

    Args:
        subject: The model or optimizer.
        folder: Folder of the backup.
        describe: Function that returns the current description as JSON.
        is_resumed: True if the folder contains a backup.
    """
    known = _starts.setdefault(subject, {})
    if not (is_resumed and folder in known):
        known[folder] = describe()
    return known[folder]


def _settings(multiplier, start):
    settings = {name: value for name, value in vars(multiplier).items() if name not in start}
    return {"class": type(multiplier).__name__, **described({**settings, **start})}
