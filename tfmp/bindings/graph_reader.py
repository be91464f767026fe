"""Reads the layers and calls of a Keras model into a flat `Graph`."""

import collections
import dataclasses
import functools

from tfmp.bindings.float_conversion import converted_call
from tfmp.bindings.layer_reader import LayerReader
from tfmp.bindings.sharing import LayerReference, Sharing, with_references
from tfmp.graph import Call, Graph, Submodel, Tensor, TensorRef


class GraphReader:
    """Collects the layers, calls and tensors of a model and its nested models.

    A layer that several models hold has one name, after its least nested place. A tensor is named after the call that
    computes it, including the call of the nested model. Names do not depend on the order in which models are read, so
    layers that transforms insert rename nothing. The class of a framework adds:

    - `graph()`: records the calls of the whole model and returns `made_of` them;
    - `input_structure(model)`: the structure of a nested model's inputs with their names in it;
    - `input_configs(model)`: what `Framework.make_input` makes each of these from;
    - `run(model, inputs, path, within)`: records the calls inside a model by `call`, and returns the structure of
      references to its outputs.

    Args:
        framework: The `tfmp.bindings.framework.Framework`.
        model: A readable model.
        weights: If False, the arrays are omitted.
    """

    def __init__(self, framework, model, weights):
        self.framework, self.model = framework, model
        self.tree, self.layer_reader = framework.tree, LayerReader(framework, weights)
        self.layers, self.calls, self.tensors, self.submodels = {}, [], {}, {}
        self._producers = {}  # the call that writes each tensor
        self._names, self._num_calls = {}, collections.Counter()
        self._shared = self._with_names()

    def _with_names(self):
        """Names all layers; returns the arguments of `LayerReader.read` for those that share variables."""
        models, layers = [(self.model, "")], {}
        while models:
            inner = []
            for model, path in models:
                for operation in sorted(self.framework.operations(model), key=lambda operation: operation.name):
                    if id(operation) in self._names:
                        continue
                    self._names[id(operation)] = name = _path(path, operation.name)
                    if self.framework.has_structure(operation):
                        inner.append((operation, name))
                    else:
                        layers[name] = operation
            models = inner
        variables_of = self.framework.variables_by_path
        sharing = Sharing({name: list(variables_of(layer).values()) for name, layer in layers.items()})
        self._references = {id(layer): LayerReference(name) for name, layer in layers.items()}
        configs = sharing.connected(layers, lambda name: self._config_of(layers[name], name))
        return {
            name: {"config": config, "shared": sharing.counted_by[name], "holders": sharing.holders[name]}
            for name, config in configs.items()
        }

    def _config_of(self, operation, name):
        config = self.layer_reader.config(operation)
        return with_references(config, self._references, name, self.framework.package)

    def made_of(self, inputs, outputs) -> Graph:
        """Returns the graph of everything that was recorded."""
        return Graph(
            self.model.name,
            self.layers,
            tuple(self.calls),
            self.tensors,
            inputs,
            outputs,
            self.framework.name,
            self.submodels,
            {"class": self.framework.model_class(self.model)},
            functools.partial(converted_call, self.framework),
        )

    def call_in_order(self, model, recorded, arguments_of, call):
        """Records the calls of a model in an order in which they can run; those of each layer stay in the user's order.

        Args:
            model: The model.
            recorded: Maps each layer to its calls, as the framework records them.
            arguments_of: Function of such a call that returns `(args, kwargs)`, or None if a tensor is not known yet.
            call: Function of (layer, number of its call, call, arguments) that records it.
        """
        num_done = dict.fromkeys(recorded, 0)
        while any(num_done[layer] < len(calls) for layer, calls in recorded.items()):
            num_before = sum(num_done.values())
            for layer, calls in recorded.items():
                while num_done[layer] < len(calls):
                    arguments = arguments_of(calls[num_done[layer]])
                    if arguments is None:
                        break
                    call(layer, num_done[layer], calls[num_done[layer]], arguments)
                    num_done[layer] += 1
            if sum(num_done.values()) == num_before:
                raise ValueError(f"Model `{model.name}` has calls whose inputs nothing produces.")

    def free_name(self, name):
        """Returns a name for the input of a Sequential model, which has none."""
        while any(layer.name == name for layer in self.model.layers):
            name += "_1"
        return name

    def call(self, operation, arguments, results, path, within):
        """Records a call, or the calls inside a nested model; returns references to its results as a flat list.

        Args:
            operation: The layer, operation or model that is called.
            arguments: `(args, kwargs)` with a `TensorRef` in place of every tensor.
            results: Function that returns the call's results as symbolic tensors, flat; not used for nested models.
            path: Name of the nested model that contains the call, `""` for the outermost one.
            within: The call of that model.
        """
        name = self._names.setdefault(id(operation), _path(path, operation.name))
        args, kwargs = tuple(arguments[0]), dict(arguments[1])
        if self.framework.has_structure(operation):
            return self.tree.flatten(self._enter(operation, name, args, kwargs, within))
        base = self._numbered(_path(within, operation.name))
        outputs = []
        for position, result in enumerate(results()):
            outputs.append(f"{base}:{position}" if position else base)
            self.tensors[outputs[-1]] = Tensor(outputs[-1], tuple(result.shape), _dtype_name(result.dtype))
        self.calls.append(Call(name, args, kwargs, tuple(outputs), within))
        self._producers.update(dict.fromkeys(outputs, self.calls[-1]))
        if name not in self.layers:
            self.layers[name] = self.layer_reader.read(
                operation,
                self.calls[-1],
                self.tensors,
                reads_network_input=bool(args) and self._is_input(self.calls[-1].inputs[:1]),
                **(self._shared.get(name) or {"config": self._config_of(operation, name)}),
            )
        return [TensorRef(output) for output in outputs]

    def _enter(self, model, name, args, kwargs, within):
        """Records the calls inside one call of a nested model."""
        given = args[0] if args else kwargs.pop("inputs")
        kwargs = {**dict(zip(("training", "mask"), args[1:], strict=False)), **kwargs}
        kwargs = {name: value for name, value in kwargs.items() if value is not None}
        use = self._numbered(_path(within, model.name))
        structure = self.input_structure(model)
        inputs = self.tree.pack_sequence_as(structure, self._in_order_of(structure, given))
        config = {"class": self.framework.model_class(model), "inputs": self.input_configs(model)}
        self.submodels[use] = Submodel(name, inputs, (), kwargs, config, model.trainable, within)
        outputs = self.run(model, inputs, name, use)
        self.submodels[use] = dataclasses.replace(self.submodels[use], outputs=outputs)
        return outputs

    def _numbered(self, name):
        """Returns the name of a call of a layer or a nested model."""
        number = self._num_calls[name]
        self._num_calls[name] += 1
        return f"{name}:call_{number}" if number else name

    def _in_order_of(self, structure, given):
        """Returns the arguments of a nested model as a flat list in the order of its inputs; dicts match by name."""
        if isinstance(given, dict):
            names = sorted(structure) if isinstance(structure, dict) else self.tree.flatten(structure)
            given = [given[name] for name in names]
        return self.tree.flatten(given)

    def _is_input(self, tensors):
        """Returns True for an input of the model, also after the quantizer that stores it."""
        call = self._producers.get(tensors[0]) if tensors else None
        if call is None:
            return False
        kind = self.layers[call.layer].kind
        return self._is_input(call.inputs[:1]) if kind == "quantize" else kind == "input"


def _path(around, name):
    return f"{around}/{name}" if around else name


def _dtype_name(dtype):
    return dtype if isinstance(dtype, str) else dtype.name
