"""Detects variables that layers share, and keeps them shared when the model is built again."""

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any

_CLASS = "tfmp_held_layer"


@dataclasses.dataclass(frozen=True)
class LayerReference:
    """A placeholder for a layer in the configuration of a layer that holds it.

    Args:
        name: Name in the graph; for a layer that the graph does not call, the name of a holder and its own.
        written: Class and configuration of such a layer, as Keras serializes them; None for a layer of the graph.
    """

    name: str
    written: Any = None


class Sharing:
    """Finds the variables that several layers of a model hold.

    The layer with the fewest variables counts a shared variable: a child layer counts before the layers that hold it.

    Args:
        variables: Maps layer names to the variables of the layer, in order.

    Attributes:
        counted_by: Maps layer names to a mapping from the position of a variable to `(layer, position)` in the layer
            that counts it.
        holders: Maps the name of a layer that counts variables of others to the names of these.
    """

    def __init__(self, variables):
        places = collections.defaultdict(list)
        for name, held in variables.items():
            for position, variable in enumerate(held):
                places[id(variable)].append((name, position))
        self.counted_by, self.holders = collections.defaultdict(dict), collections.defaultdict(list)
        for shared in places.values():
            counting, *others = sorted(shared, key=lambda place: len(variables[place[0]]))
            for name, position in others:
                self.counted_by[name][position] = counting
                if name not in self.holders[counting[0]]:
                    self.holders[counting[0]].append(name)

    def connected(self, layers, config_of):
        """Returns the configurations of the layers that share variables, with references to the layers that they share.

        Args:
            layers: Layers by name.
            config_of: Function of a layer name that returns its configuration.
        """
        configs = {name: config_of(name) for name in dict.fromkeys([*self.counted_by, *self.holders])}
        for name, holders in self.holders.items():
            key = type(layers[name]).__name__, layers[name].name
            for holder in holders:
                configs[holder], held = _connected(configs[holder], {key: LayerReference(name)})
                if name not in held:  # both hold a third layer that the model does not call
                    parts = _written_layers(configs[name], name)
                    for layer in (name, holder):
                        configs[layer], _ = _connected(configs[layer], parts)
        return configs


def with_references(config, references, holder, framework):
    """Returns a configuration with references in place of layer objects.

    Args:
        config: The configuration.
        references: The references by the `id` of the layer; new ones are added.
        holder: Name of the layer whose configuration it is.
        framework: The package, `keras` or `tf_keras`.
    """

    def reference(part):
        if not isinstance(part, framework.layers.Layer):
            return None
        if id(part) not in references:
            written = framework.saving.serialize_keras_object(part)
            references[id(part)] = LayerReference(f"{holder}/{part.name}", written)
        return references[id(part)]

    return _mapped(config, reference)


def with_layers(config, layer_of, framework):
    """Returns a configuration with layers in place of references, and the scope in which a layer is built from it.

    Args:
        config: A configuration with `LayerReference`s.
        layer_of: Function of a `LayerReference` that returns the layer.
        framework: The package, `keras` or `tf_keras`.
    """
    layers = {}

    class HeldLayer:
        """Returns an existing layer when Keras deserializes it."""

        @classmethod
        def from_config(cls, config):
            return layers[config["name"]]

    def resolved(part):
        if isinstance(part, LayerReference):
            return layer_of(part)
        if not isinstance(part, Mapping) or not isinstance(part.get("config"), LayerReference):
            return None
        name = part["config"].name
        layers[name] = layer_of(part["config"])
        return {**part, "class_name": _CLASS, "registered_name": _CLASS, "module": None, "config": {"name": name}}

    return _mapped(config, resolved), framework.saving.custom_object_scope({_CLASS: HeldLayer})


def check_sharing(graph, variables):
    """Raises `ValueError` unless the built layers share the same variables as those of the user's model.

    Args:
        graph: The `tfmp.graph.Graph` that they were built from.
        variables: Maps layer names to the variables of the layer, in order.
    """
    expected = _groups({name: graph.layers[name].shared for name in variables})
    wrong = expected ^ _groups(Sharing(variables).counted_by)
    if wrong:
        names = sorted({name for group in wrong for name, _ in group})
        raise ValueError(
            f"Layers {', '.join(f'`{name}`' for name in names)} of model `{graph.name}` share variables, which their "
            "configurations do not tell: a copy of the model would not share them. Make one layer an argument of the "
            "other's constructor, and write it into the other's `get_config` with "
            f"`{graph.framework}.saving.serialize_keras_object`; or give each layer its own variables."
        )


def _groups(counted_by):
    groups = collections.defaultdict(set)
    for name, places in counted_by.items():
        for position, counting in places.items():
            groups[counting] |= {counting, (name, position)}
    return {frozenset(group) for group in groups.values()}


def _connected(config, references):
    """Returns a configuration with references in place of layers, and the names that it refers to."""
    names = set()

    def reference(part):
        if isinstance(part, LayerReference):
            names.add(part.name)
            return part
        reference = references.get((part["class_name"], part["config"]["name"])) if _is_written_layer(part) else None
        if reference is None:
            return None
        names.add(reference.name)
        return {**part, "config": reference}

    return _mapped(config, reference), names


def _written_layers(config, holder):
    """Returns references to the layers in a configuration by class and name, without layers inside these."""
    references = {}

    def collect(part):
        if not _is_written_layer(part):
            return None
        references[part["class_name"], part["config"]["name"]] = LayerReference(
            f"{holder}/{part['config']['name']}", part
        )
        return part

    _mapped(config, collect)
    return references


def _is_written_layer(part):
    if not isinstance(part, Mapping) or "class_name" not in part or not isinstance(part.get("config"), Mapping):
        return False
    return "name" in part["config"] and "trainable" in part["config"]


def _mapped(config, function):
    """Copies nested mappings, lists and tuples; parts for which `function` returns a value are replaced by it."""
    replaced = function(config)
    if replaced is not None:
        return replaced
    if isinstance(config, Mapping):
        return {key: _mapped(part, function) for key, part in config.items()}
    if isinstance(config, list):  # including the tracking ones of TensorFlow
        return [_mapped(part, function) for part in config]
    return tuple(_mapped(part, function) for part in config) if type(config) is tuple else config
