"""Learns the rounding of the kernels of a network, block by block."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.data.whole_batches import fixed_batch_size
from tfmp.graph import Graph
from tfmp.quantizers import MAX_BITS
from tfmp.reports import ReconstructedBlock
from tfmp.transform.edits.floating_point import dequantized
from tfmp.transform.reconstruction.block_learning import Along, BlockLearning
from tfmp.transform.reconstruction.find_blocks import Block, find_blocks
from tfmp.transform.reconstruction.reconstruction import Reconstruction
from tfmp.transform.reconstruction.segmented_model import LiveTensors, SegmentedModel
from tfmp.transform.reconstruction.soft_rounding import SoftRounding

_REGULARIZATION = 5.0
_WARM_UP = 0.2
# Learning rates relative to the magnitude of what is learned.
_STEP_RATE, _BIAS_RATE, _GAMMA_RATE = 1e-3, 3e-3, 3e-3


def reconstruct(
    model: KerasModel,
    floating: KerasModel,
    batches: Sequence[Any],
    settings: Reconstruction,
    *,
    num_complete: int = 0,
    on_block: Callable[[ReconstructedBlock], None] | None = None,
    verbose: int = 0,
) -> tuple[ReconstructedBlock, ...]:
    """Learns the rounding of kernels, block by block, so that each block's output is near that in floating point.

    A block reads what the quantized network has computed so far. Learned along are the steps of activations, biases,
    and the scales and offsets of normalizations. Then the kernels are on their levels: their nearest codes are those
    that were learned. Blocks in which everything has 8 bits are left out.

    Args:
        model: A fixed model, changed in place.
        floating: The float model of the same network, with the same tensor names.
        batches: Inputs of the model, in its structure.
        settings: How to learn.
        num_complete: Number of blocks that `model` has from an earlier run, and that are skipped.
        on_block: Called after each block.
        verbose: 1 shows a progress bar.

    Returns:
        The blocks that were reconstructed in this call.
    """
    return _Network(model, floating, batches, settings).run(num_complete, on_block, verbose)


def reconstructed_blocks(graph: Graph) -> list[Block]:
    """Returns the blocks of a fixed network that `reconstruct` learns: those with a tensor of fewer than 8 bits."""
    return [block for block in find_blocks(graph) if any(_has_few_bits(graph.layers[name]) for name in block.layers)]


def _has_few_bits(layer):
    formats = [candidates.formats[0] for candidates in (layer.weight, layer.activation)]
    return any(not each.is_float and each.bits < MAX_BITS for each in formats)


class _Network:
    def __init__(self, model, floating, batches, settings):
        self.framework, self.model, self.settings = framework_of(model), model, settings
        self.graph = self.framework.read(model)
        self.learner = self.framework.write(dequantized(self.graph)[0])
        self.quantized, self.exact = SegmentedModel(self.learner), SegmentedModel(floating)
        self.live, self.exact_live = LiveTensors(self.quantized, batches), LiveTensors(self.exact, batches)
        self.batch_size = fixed_batch_size(model) or settings.batch_size

    def run(self, num_complete, on_block, verbose):
        blocks = reconstructed_blocks(self.graph)
        if not blocks:
            return ()
        bar = self.framework.package.utils.Progbar(len(blocks) * self.settings.iterations, verbose=verbose)
        bar.add(num_complete * self.settings.iterations)
        results = []
        for number, block in enumerate(blocks[num_complete:], start=num_complete):
            results.append(self._reconstruct(number, block, lambda: bar.add(1)))
            if on_block is not None:
                on_block(results[-1])
        return tuple(results)

    def _reconstruct(self, number, block, on_iteration):
        for live in (self.live, self.exact_live):
            live.advance(block.calls[0])
        inputs = [np.concatenate(each) for each in self.live.compute(block.inputs).values()]
        targets = [np.concatenate(each) for each in self.exact_live.compute(block.outputs).values()]
        kernels = self._kernels(block)
        along = self._along(block, float(np.std(targets[0])))
        part = self.quantized.part(block.inputs, block.outputs)
        learning = BlockLearning(part, list(kernels.values()), list(along.values()), inputs, targets)
        errors = learning.learn(
            iterations=self.settings.iterations,
            batch_size=self.batch_size,
            learning_rate=self.settings.learning_rate,
            regularization=_REGULARIZATION,
            warm_up=_WARM_UP,
            seed=(self.settings.seed, number),
            on_iteration=on_iteration,
        )
        for name, path in [*kernels, *along]:
            self._variables(self.model, name)[path].assign(np.asarray(self._variables(self.learner, name)[path]))
        return ReconstructedBlock(block.layers, *errors)

    def _variables(self, model, name):
        return self.framework.variables_by_path(self.framework.layer(model, name))

    def _kernels(self, block):
        """Returns the kernels to learn by layer and path: their variables and `SoftRounding`s."""
        shared = {owner for layer in self.graph.layers.values() for owner, _ in layer.shared.values()}
        kernels = {}
        for name in block.layers:
            layer = self.graph.layers[name]
            if layer.weight.formats[0].is_float or layer.shared or name in shared:
                continue
            rounding = SoftRounding(layer)
            if rounding.is_learnable:
                variable = self.framework.tf_variable(self._variables(self.learner, name)["kernel"])
                kernels[name, "kernel"] = variable, rounding
        return kernels

    def _along(self, block, deviation):
        """Returns what is learned along by layer and path."""
        along = {}
        calls = [self.graph.calls[number] for number in block.calls]
        for name in dict.fromkeys(call.layer for call in calls):
            layer = self.graph.layers[name]
            learnable = layer.shape is not None or layer.kind == "batch_normalization"
            if (
                not learnable
                or not layer.trainable
                or layer.shared
                or any(c not in calls for c in self.graph.calls_of(name))
            ):
                continue
            for path, variable in self._variables(self.learner, name).items():
                size = np.abs(np.asarray(variable)).mean()
                if path.startswith("activation_selector/") and variable.trainable:
                    rate = _STEP_RATE * size
                elif path in ("bias", "beta"):
                    rate = _BIAS_RATE * deviation
                elif path == "gamma":
                    rate = _GAMMA_RATE * size
                else:
                    continue
                along[name, path] = Along(self.framework.tf_variable(variable), rate, is_positive=path == "gamma")
        return along
