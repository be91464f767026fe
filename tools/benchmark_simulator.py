"""Measures how long the simulator takes to price every layer of a network at every pair of bits.

python tools/benchmark_simulator.py --output benchmark.json

The defaults are ResNet-50 and the 12 pairs of the EdMIPS search space.
"""

import json
import pathlib
import platform
import time

import numpy as np
from absl import app, flags

from tfmp.files.atomic_file import write_atomically
from tfmp.graph import LayerShape
from tfmp.simulator import Hardware, cost_table, read_workload

_WORKLOAD = flags.DEFINE_string(
    "workload", str(pathlib.Path(__file__).parent / "workloads" / "resnet50.json"), "JSON workload."
)
_WEIGHT_BITS = flags.DEFINE_list("weight_bits", ["1", "2", "3", "4"], "Candidate widths of the weights.")
_ACTIVATION_BITS = flags.DEFINE_list("activation_bits", ["2", "3", "4"], "Candidate widths of the activations.")
_BATCH = flags.DEFINE_integer("batch", 16, "Samples that run together.")
_OBJECTIVE = flags.DEFINE_string("objective", "latency", "What schedules minimize first: latency or energy.")
_RUNS = flags.DEFINE_integer("runs", 5, "How often to measure; the fastest run counts.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the results.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace --output if it exists.")


def main(argv: list[str]) -> None:
    """Prints the seconds for all layers and pairs, and those for one layer and pair."""
    if len(argv) > 1:
        raise app.UsageError(f"Expected no arguments. Received: {argv[1:]}")
    layers = [layer for layer in read_workload(_WORKLOAD.value) if isinstance(layer, LayerShape)]
    weight_bits, activation_bits = ([int(bits) for bits in flag.value] for flag in (_WEIGHT_BITS, _ACTIVATION_BITS))
    num_pairs = len(weight_bits) * len(activation_bits)
    wall, cpu = min(_measure(layers, weight_bits, activation_bits, run) for run in range(_RUNS.value))
    result = {
        "workload": pathlib.Path(_WORKLOAD.value).stem,
        "num_layers": len(layers),
        "weight_bits": weight_bits,
        "activation_bits": activation_bits,
        "num_pairs": num_pairs,
        "batch": _BATCH.value,
        "objective": _OBJECTIVE.value,
        "runs": _RUNS.value,
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        "layer_and_pair_ms": 1e3 * wall / (len(layers) * num_pairs),
        "one_pair_seconds": wall / num_pairs,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
    }
    print(f"{result['workload']}: {len(layers)} layers, {num_pairs} pairs of bits, batch {_BATCH.value}")
    print(f"  all layers and pairs     {wall:9.3f} s wall, {cpu:.3f} s of one core (fastest of {_RUNS.value} runs)")
    print(f"  all layers, one pair     {result['one_pair_seconds']:9.3f} s")
    print(f"  one layer and one pair   {result['layer_and_pair_ms']:9.3f} ms")
    if _OUTPUT.value:
        write_atomically(_OUTPUT.value, json.dumps(result, indent=2) + "\n", overwrite=_OVERWRITE.value)


def _measure(layers, weight_bits, activation_bits, run: int) -> tuple[float, float]:
    """Wall and CPU seconds from a cold start; layers of equal shape are computed once, as in any use."""
    # Another name is other hardware to the simulator: nothing is remembered from the run before.
    hardware = Hardware.from_preset("bit_fusion").resize(name=f"run {run}")
    wall, cpu = time.perf_counter(), time.process_time()
    for layer in layers:
        cost_table(layer, weight_bits, activation_bits, hardware, batch=_BATCH.value, objective=_OBJECTIVE.value)
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    app.run(main)
