"""Metadata of a file: mode, bits, labels."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from tfmp.checks import check_choice, check_instance, check_instances, check_text
from tfmp.files.json_record import parse_json
from tfmp.graph import BitAssignment, Graph
from tfmp.graph.targets import LITERT, TARGETS, Target
from tfmp.lowering.weight_packing import MODES as STORAGE_MODES
from tfmp.tflite.file_runner import FileRunner
from tfmp.tflite.writer.packing import unpack, with_metadata
from tfmp.version import VERSION

METADATA_NAME = "tfmp"
FLOAT = "float"
MODES = (*STORAGE_MODES, FLOAT)
_NEEDED = {"tfmp", "mode", "bits"}


def with_own_metadata(
    interpreter: FileRunner,
    *,
    target: Target,
    mode: str,
    bits: Mapping[str, tuple[int, int]],
    labels: Sequence[str],
    floating: Sequence[str] = (),
) -> bytes:
    """Returns a file with the metadata of tfmp.

    Args:
        interpreter: The interpreter of a file.
        target: Its runtime.
        mode: How its weights are stored.
        bits: Layer name to `(weight_bits, activation_bits)`.
        labels: Names of the classes, or none.
        floating: Names of the layers in floating point between integer ones.

    Raises:
        ValueError: If there are labels, but not one for each number of a single output.
    """
    shapes = [tensor.shape for tensor in interpreter.outputs.values()]
    if labels and (len(shapes) != 1 or shapes[0][-1] != len(labels)):
        raise ValueError(
            "`labels` must name every number of the model's output, and there must be one output. Received: "
            f"{len(labels)} labels for outputs of shape {', '.join(map(str, shapes))}"
        )
    about = {
        "tfmp": VERSION,
        "mode": mode,
        "bits": {name: list(pair) for name, pair in bits.items()},
        "inputs": {name: tensor.in_words for name, tensor in interpreter.inputs.items()},
        "outputs": {name: tensor.in_words for name, tensor in interpreter.outputs.items()},
    }
    if target != LITERT:
        about["target"] = target.name
    if labels:
        about["labels"] = list(labels)
    if floating:
        about["float_layers"] = list(floating)
    # Of equal length in every mode, so that a small file is never larger than a fast one.
    text = json.dumps(about, separators=(",", ":")) + " " * (max(map(len, MODES)) - len(mode))
    return with_metadata(interpreter.content, {METADATA_NAME: text.encode()})


def written_target(content: bytes) -> str:
    """Returns the name of the target that a file was written for; LiteRT's if it does not say."""
    try:
        about = own_metadata(unpack(content), "the file")
    except Exception:  # the reader of a damaged or foreign file fails in many ways; its runtime says what is wrong
        return LITERT.name
    return about["target"]


def own_metadata(model: schema.ModelT, label: str) -> dict[str, Any]:
    """Reads the metadata that `with_own_metadata` wrote.

    Args:
        model: The file.
        label: Name of the file in errors.

    Raises:
        ValueError: If the file has no such metadata, or in another format.
    """
    entries = [entry for entry in model.metadata or [] if entry.name == METADATA_NAME.encode()]
    if not entries:
        raise ValueError(
            f"Expected a TFLite file that `tfmp.export_tflite` wrote. Received: {label}, which has no metadata of "
            "tfmp. Export the model with tfmp; `tfmp.evaluate_tflite` accepts other files."
        )
    try:
        about = check_instance("metadata", parse_json(_content(model, entries[0])), dict, "an object")
        if not _NEEDED <= set(about):
            raise ValueError(f"without {', '.join(sorted(_NEEDED - set(about)))}")
        for name in ("tfmp", "mode"):
            check_text(name, about[name])
        about["bits"] = BitAssignment(about["bits"]).bits
        about["target"] = check_choice("target", about.get("target", LITERT.name), TARGETS)
        for name in ("labels", "float_layers"):
            about[name] = check_instances(name, about.get(name, ()), str, "names")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Expected metadata that tfmp can read in {label}. Received: {error}. Export the model again."
        ) from error
    return about


def _content(model, entry):
    if not 0 <= entry.buffer < len(model.buffers):
        raise ValueError(f"a buffer with the number {entry.buffer}, of {len(model.buffers)}")
    return bytes(() if (data := model.buffers[entry.buffer].data) is None else data)


def quantized_bits(graph: Graph) -> dict[str, tuple[int, int]]:
    """Returns `(weight_bits, activation_bits)` by name for every layer with quantized weights."""
    return {
        layer.name: (layer.weight.bits[0], layer.activation.bits[0])
        for layer in graph.in_order()
        if layer.shape is not None and layer.is_quantized
    }
