"""From the layers of a fixed network to integer operations."""

from tfmp.transform.activation_grid import activation_grid
from tfmp.transform.integer_builder import Codes, IntegerBuilder
from tfmp.transform.rules import MOVES, rule_of
from tfmp.transform.signature_names import signature_inputs, signature_outputs
from tfmp.types import Graph, Grid, IntegerGraph


class Folder:
    """Demands every tensor with the codes that its reader wants; the rules of the layers' kinds make them.

    Args:
        graph: A fixed network.
        mode: How the file stores weights, `tfmp.types.weight_storage.MODES`.

    Attributes:
        builder: Collects the operations.
        inputs: Name of a tensor that is an input of the graph to the name that the integer network has for it.
        held: `(tensor, codes)` to the name of the integer tensor that holds a tensor of the graph with these codes.
    """

    def __init__(self, graph: Graph, mode: str):
        self.graph, self.mode, self.builder = graph, mode, IntegerBuilder()
        self.inputs = signature_inputs(graph)
        self.held: dict[tuple[str, Codes], str] = {}

    def run(self) -> IntegerGraph:
        """Folds the whole network."""
        for tensor, name in self.inputs.items():
            self.builder.input(name, self.shape(tensor))
        # In the order of the network: a demand then finds what it reads and never reaches far back.
        for call in self.graph.calls:
            layer = self.graph.layer_of(call)
            if layer.is_quantized:
                self.demand(call.inputs[0], Codes.all_of(activation_grid(layer)))
        outputs = []
        for tensor in self.graph.output_names:
            stored = self.stored(tensor, "the output of the model")
            outputs.append(self.builder.add("dequantize", (stored,), f"{tensor}_output", self.shape(tensor), None))
        return self.builder.graph(self.graph.name, self.inputs.values(), outputs, signature_outputs(self.graph))

    def shape(self, tensor: str) -> tuple[int | None, ...]:
        """Sizes of a tensor of the graph."""
        return self.graph.tensors[tensor].shape

    def demand(self, tensor: str, codes: Codes) -> str:
        """Returns the name of the integer tensor that holds a tensor of the graph with these codes."""
        key = (tensor, codes)
        if key not in self.held:
            call = self.graph.producer(tensor)
            self.held[key] = self._rule(self.graph.layer_of(call)).fold(self, call, codes)
        return self.held[key]

    def stored(self, tensor: str, reader: str) -> str:
        """Returns the name of the integer tensor of a tensor that the graph itself puts on a grid.

        Raises:
            ValueError: If nothing does; `reader` is who reads it, for the message.
        """
        return self.demand(tensor, Codes.all_of(self.stored_grid(tensor, reader)))

    def stored_grid(self, tensor: str, reader: str) -> Grid:
        """Returns the grid of such a tensor."""
        source = tensor
        while True:
            call = self.graph.producer(source)
            layer = self.graph.layer_of(call)
            rule = self._rule(layer)
            if rule.reads != MOVES or rule.joins:
                break
            source = call.inputs[0]
        if layer.kind == "quantize":
            return activation_grid(layer)
        if rule.grid is not None:
            return rule.grid
        raise ValueError(
            f"Tensor `{tensor}` is read by {reader} but nothing quantizes it. Models made by `tfmp.relax` have a "
            "quantizer there; in a model built by hand, put a `tfmp.layers.Quantize` behind it."
        )

    def requantized(self, tensor: str, made: str, own: Codes, codes: Codes) -> str:
        """`made`, which holds a tensor of the graph with the codes `own`, with the codes that are wanted."""
        return made if codes == own else self.builder.requantized(made, f"{tensor}_requantized", codes)

    def _rule(self, layer):
        rule = rule_of(layer)
        if rule is None:
            name = layer.config["class"].__name__ if "class" in layer.config else layer.kind
            raise ValueError(
                f"Layer `{layer.name}` ({name}) has no integer form, so the model cannot be folded. If it computes "
                'what a known layer computes, say so with `tfmp.register_layer`; else export with `mode="float"`, '
                "or leave it out of the model that is exported."
            )
        return rule
