"""`tfmp.measure_runtime`: latency of each layer in the runtime on this machine."""

import datetime
import importlib.metadata
import math
import os
import pathlib
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
from ai_edge_litert import interpreter as litert

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.bindings.saving.load_model import load_model
from tfmp.checks import check_choice, check_integer, check_path
from tfmp.costs.runtime_table import RuntimeRow, RuntimeTable, network_key
from tfmp.data.model_inputs import ModelInputs
from tfmp.graph import Graph, map_references
from tfmp.graph.targets import LITERT, MICRO, Target, target_of
from tfmp.lowering.weight_packing import encodings
from tfmp.tflite.micro_interpreter import MicroInterpreter
from tfmp.tflite.one_layer import one_layer_graph
from tfmp.tflite.writer.write_tflite import write_tflite
from tfmp.transform.calibration.calibrate import calibrate_ranges
from tfmp.transform.edits.floating_point import in_floating_point
from tfmp.transform.edits.parts import with_parts
from tfmp.transform.fix import fix
from tfmp.transform.fold import fold_graph
from tfmp.transform.relax import relax

_FINEST_BITS = 8


def measure_runtime(
    model: KerasModel | str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    target: str = LITERT.name,
    threads: int = 1,
    batch_size: int = 1,
    runs: int = 15,
    verbose: int = 0,
) -> RuntimeTable:
    """Measures each layer with a kernel, in every way of storing its weights, and writes a table of latencies.

    It measures exported files of one layer, packed or not. The files of a layer take turns, so that other load on the
    machine affects all of them alike; the median counts. The whole network with all weights at 8 bits is measured
    last. The file is extended after every layer, so an interrupted run can be resumed.

    Args:
        model: A float, relaxed or fixed model, or the path of a saved one.
        path: The JSON file to write or to extend.
        target: The runtime, `"litert"` or `"micro"`. The interpreter of the latter runs on this machine, with its
            portable kernels: its times, those of the processor, say how operators and encodings compare. Needs the
            extra `micro`.
        threads: Threads of the runtime; `"micro"` has one.
        batch_size: The fixed batch size of the files, unless that of the model is fixed.
        runs: Number of measurements of a few milliseconds each; the first is ignored.
        verbose: 1 prints a line per layer.

    Returns:
        The table, for `tfmp.costs.RuntimeLatency`.

    Raises:
        ValueError: If the file is not a table, or was measured under other conditions; if the model cannot be folded,
            or an input has a free size.
        ImportError: If the target is `"micro"` and the package `tflite-micro` is not installed.

    Example:
        >>> table = tfmp.measure_runtime(model, "latency.json")
    """
    path = pathlib.Path(check_path("path", path))
    check_integer("batch_size", batch_size, at_least=1)
    check_choice("verbose", verbose, (0, 1))
    runtime = target_of(target)
    stopwatch = Stopwatch(threads=threads, runs=runs, target=runtime)
    if isinstance(model, str | os.PathLike):
        model = load_model(model)
    graph = with_parts(framework_of(model).read(model, weights=False))
    batch_size = ModelInputs.of(graph).batch_size or batch_size
    conditions = _conditions(runtime, threads, batch_size)
    table = _extendable(path, conditions) if path.exists() else RuntimeTable(conditions)
    for call in graph.calls:
        layer = graph.layer_of(call)
        if layer.shape is None:
            continue
        files = {
            (each.container_bits, each.index_bits): _file(one_layer_graph(graph, call, each), batch_size, runtime)
            for each in encodings(layer.shape, runtime)
            if table.latency_us(layer.shape, each.container_bits, each.index_bits) is None
        }
        if not files:
            continue
        rows = [
            RuntimeRow(layer.shape, container, *times, index_bits=index)
            for (container, index), times in stopwatch.measure(files).items()
        ]
        table = _extended(table, path, rows=(*table.rows, *rows))
        if verbose:
            print(f"{layer.name}: {', '.join(map(_in_words, rows))}", flush=True)
    if network_key(graph) not in table.overhead_us:
        types = dict.fromkeys(("input_type", "output_type"), runtime.number_type)
        folded = fold_graph(_at_eight_bits(model), target=runtime)
        whole = write_tflite(folded, batch_size=batch_size, target=runtime, **types)
        latency_us = stopwatch.measure({"whole": whole})["whole"][0]
        shapes = [graph.layer_of(call).shape for call in graph.calls]
        measured = [table.latency_us(shape, _FINEST_BITS) for shape in shapes if shape is not None]
        overhead = latency_us - sum(each for each in measured if each is not None)
        table = _extended(table, path, overhead_us={**table.overhead_us, network_key(graph): overhead})
        if verbose:
            print(
                f"{graph.name}: {latency_us:.1f} us at 8 bits, of which {overhead:.1f} us beside its layers", flush=True
            )
    return table


def _in_words(row: RuntimeRow) -> str:
    stored = f"{row.container_bits} bits" if row.index_bits is None else f"{row.index_bits}-bit indices"
    return f"{stored} {row.latency_us:.1f} us"


def _conditions(target, threads, batch_size):
    package = "ai-edge-litert" if target == LITERT else "tflite-micro"
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "system": platform.system(),
        "cpus": os.cpu_count(),
        "threads": threads,
        "batch_size": batch_size,
        package.replace("-", "_"): importlib.metadata.version(package),
    }


def _processor():
    """Returns the name of the processor; `platform.processor` is empty on Linux."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor()


def _extendable(path, conditions):
    table = RuntimeTable.from_json(path)
    differing = {key: (table.conditions.get(key), value) for key, value in conditions.items()}
    differing = {key: pair for key, pair in differing.items() if pair[0] != pair[1]}
    if differing:
        raise ValueError(
            f"{str(path)!r} was measured under other conditions: "
            + ", ".join(f"{key} {there!r} there, {here!r} now" for key, (there, here) in differing.items())
            + ". Their rows cannot be compared: write to another file."
        )
    return table


def _extended(table, path, **changes):
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    fields = {"rows": table.rows, "overhead_us": table.overhead_us, **changes}
    table = RuntimeTable(table.conditions, date=today, **fields)
    table.to_json(path, overwrite=True)
    return table


def _file(graph, batch_size, target):
    return write_tflite(graph, batch_size=batch_size, input_type="int8", output_type="int8", target=target)


def _at_eight_bits(model) -> Graph:
    """Returns a network that can be folded, calibrated with noise: latency does not depend on ranges."""
    framework = framework_of(model)
    graph = framework.read(model)
    if not any(layer.is_quantized for layer in graph.layers.values()):
        eight = (_FINEST_BITS,)
        model = relax(model, weight_bits=eight, activation_bits=eight, first_and_last="search")
        graph = framework.read(model)
    floating = in_floating_point(graph)
    if graph.searched:
        model = fix(model, {layer.name: (_FINEST_BITS, _FINEST_BITS) for layer in graph.searched})
    else:
        model = framework.write(graph)
    calibrate_ranges(model, framework.write(floating), _noise(graph))
    return framework.read(model)


def _noise(graph):
    rng = np.random.default_rng(0)
    arrays = {}
    for name in graph.input_names:
        sizes = graph.tensors[name].shape[1:]
        if None in sizes:
            raise ValueError(
                f"Input `{name}` has the shape {sizes}, with free sizes, which a file cannot have. Build the model "
                "with a fixed input shape."
            )
        values = rng.normal(size=(8, *sizes))
        # Zeros and ones are also valid indices.
        arrays[name] = values.astype(np.float32) if graph.tensors[name].is_float else (values > 0).astype(np.int32)
    return map_references(graph.inputs, lambda reference: arrays[reference.name])


_SHORTEST_RUN_SECONDS = 2e-3

_Key = TypeVar("_Key")


class Stopwatch:
    """Measures the latency of files, in turns.

    Args:
        threads: Threads of the runtime.
        runs: Number of turns per file, plus one to warm up. In a turn, a file runs for some milliseconds.
        clock: Returns seconds: `time.perf_counter` for latency, `time.process_time` for time of the processor, which
            other processes do not lengthen. By default the latter for `MICRO`, whose calls are one thread's work.
        target: The runtime.
    """

    def __init__(
        self,
        *,
        threads: int = 1,
        runs: int = 15,
        clock: Callable[[], float] | None = None,
        target: Target = LITERT,
    ):
        self.threads = check_integer("threads", threads, at_least=1)
        self.runs = check_integer("runs", runs, at_least=1)
        self.target = target
        self.clock = clock or (time.process_time if target == MICRO else time.perf_counter)
        if target == MICRO:
            check_choice("threads", threads, (1,), where=target.words)
            MicroInterpreter.check_installed()

    def measure(self, files: Mapping[_Key, bytes]) -> dict[_Key, tuple[float, tuple[float, float]]]:
        """Returns the latency of one call of each file, with inputs already set: the median over the turns.

        Args:
            files: Bytes of files, by any keys.

        Returns:
            `(median, (first quartile, third quartile))` in us, by the same keys.
        """
        return {key: _summary(times) for key, times in self.seconds(files).items()}

    def seconds(self, files: Mapping[_Key, bytes]) -> dict[_Key, list[float]]:
        """Returns the seconds of one call of each file, one number for each turn; see `measure`."""
        started = {key: self._start(content) for key, content in files.items()}
        seconds: dict[_Key, list[float]] = {key: [] for key in files}
        for turn in range(self.runs + 1):
            for key, (run_once, calls) in started.items():
                times = [self._seconds_of(run_once) for _ in range(calls)]
                if turn:
                    # A call that the system interrupted is one of many.
                    seconds[key].append(statistics.median(times))
        return seconds

    def _start(self, content):
        """Returns a function that runs a file once, and the number of calls that takes long enough to measure."""
        run_once = MicroInterpreter(content).ready_to_run() if self.target == MICRO else self._ready_to_run(content)
        run_once()  # prepares the kernels
        return run_once, max(1, math.ceil(_SHORTEST_RUN_SECONDS / self._seconds_of(run_once)))

    def _ready_to_run(self, content):
        """Returns a function that runs a file of LiteRT once, with random inputs."""
        interpreter = litert.Interpreter(model_content=content, num_threads=self.threads)
        interpreter.allocate_tensors()
        rng = np.random.default_rng(0)
        for detail in interpreter.get_input_details():
            values = (
                rng.integers(-128, 128, detail["shape"])
                if detail["dtype"] == np.int8
                else rng.normal(size=detail["shape"])
            )
            interpreter.set_tensor(detail["index"], values.astype(detail["dtype"]))
        return interpreter.invoke

    def _seconds_of(self, run_once):
        start = self.clock()
        run_once()
        return max(self.clock() - start, 1e-9)


def _summary(times):
    micros = [1e6 * each for each in times]
    low, middle, high = statistics.quantiles(micros, n=4) if len(micros) > 1 else micros * 3
    return middle, (low, high)
