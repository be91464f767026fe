r"""Measures what a search step costs against a step at fixed bits: time, peak memory, bytes of the trained variables.

    python tools/benchmark_search.py --output benchmark.json
    python tools/benchmark_search.py --network=resnet8 --image_size=32 --num_classes=10 --batch=128
    python tools/benchmark_search.py --cases=resnet8,mobilenet_v1,mobilenet_v2,resnet18 --output=folder

One process times all variants in turn, step by step, so that what else the machine does falls on all of them alike;
ratios are those of a round. `--cases` measures networks by name, with `float`, `uniform` and `softmax` and without
memory, and writes a file for each. Memory is what the tensors of a step hold at most, counted by the BFC allocator of
TensorFlow
(`TF_CPU_ALLOCATOR_USE_BFC`) in a process for each variant: the resident set of a process would hold the traces of the
compilers and what malloc keeps, too.

- `float`, and `uniform` at 2 bits.
- `softmax`, `annealed`, `gumbel`: searches with shared kernels and one convolution a layer (EdMIPS, eq. 14 and 16).
- `separate`: softmax with a kernel for each candidate (eq. 15).
- `parallel`: softmax with a convolution for each pair of candidates, which adds up to what `softmax` computes (eq. 10).
- `candidates_N`: softmax over 1 to N bits for weights and activations.
"""

import functools
import json
import os
import platform
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

import tfmp
from tfmp import networks
from tfmp.files.atomic_file import check_writable, write_atomically

_RELAXATIONS = ("softmax", "annealed", "gumbel")

# Network, image size, classes, batch and width of the networks of `--cases`.
NAMED_CASES = {
    "resnet8": ("resnet8", 32, 10, 128, 1.0),
    "mobilenet_v1": ("mobilenet_v1_vww", 96, 2, 32, 0.25),
    "mobilenet_v2": ("mobilenet_v2", 96, 10, 32, 0.35),
    "resnet18": ("resnet18", 112, 1000, 16, 1.0),
}

_SHARED = {"allow_override": True}  # another program that tests load beside this one has such a flag, too
_CASES = flags.DEFINE_list("cases", [], f"Names of {', '.join(NAMED_CASES)}; --output is then a folder.")
_NETWORK = flags.DEFINE_string("network", "resnet18", "A name in `tfmp.networks`.")
_WIDTH = flags.DEFINE_float("width", None, "Factor on the number of channels; by default that of the network.")
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 112, "Height and width of the images.")
_NUM_CLASSES = flags.DEFINE_integer("num_classes", 1000, "Number of logits.")
_BATCH = flags.DEFINE_integer("batch", 16, "Images in a step.", **_SHARED)
_ENDS = flags.DEFINE_enum("first_and_last", "float", ["float", "int8", "search"], "As of `tfmp.relax`.")
_VARIANTS = flags.DEFINE_list(
    "variants", ["float", "uniform", *_RELAXATIONS, "separate", "parallel"], "What to measure."
)
_CANDIDATES = flags.DEFINE_list("candidates", ["1", "2", "4", "6", "8"], "Numbers of candidates of the growth curve.")
_ROUNDS = flags.DEFINE_integer("rounds", 12, "How often each variant's turn comes.", lower_bound=1)
_WARMUP = flags.DEFINE_integer("warmup", 2, "Steps before them.", lower_bound=1)
_MEMORY = flags.DEFINE_bool("memory", True, "Measure the memory of --variants, too.")
_QUICK = flags.DEFINE_bool("quick", False, "A network and numbers as small as can be.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the results.", **_SHARED)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace --output if it exists.", **_SHARED)
_MEMORY_OF = flags.DEFINE_string("memory_of", None, "Print the memory of this variant alone, as JSON.")

_QUICK_FLAGS = {"network": "digits_cnn", "image_size": 8, "num_classes": 10, "batch": 4, "rounds": 2, "warmup": 1}


def parallel_convolutions(layer, inputs, training=None):
    """Calls a layer by a convolution for each pair of candidates: sum_ij p_i p_j conv(A_j(x), W_i(kernel))."""
    kernels = layer.weight_selector(layer.kernels(), training=training, separate=True)
    tensors = layer.activation_selector(inputs, training=training, separate=True)
    weights, activations = layer.weight_selector.probabilities(), layer.activation_selector.probabilities()
    if training:
        layer.selection_cost(weights, activations)
    outputs = tf.add_n(
        [
            weights[i] * activations[j] * layer.operation(tensor, kernel)
            for i, kernel in enumerate(kernels)
            for j, tensor in enumerate(tensors)
        ]
    )
    outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(layer.bias)) if layer.use_bias else outputs
    return outputs if layer.activation is None else layer.activation(outputs)


def convolve_in_parallel(model):
    """Has a relaxed model compute its searched convolutions pair by pair; its layers remain what they are."""
    for layer in model.layers:
        if isinstance(layer, tfmp.layers.MixedPrecisionConv2D) and layer.selection_cost is not None:
            layer.call = functools.partial(parallel_convolutions, layer)


class Variant:
    """A model that trains, with its data.

    Args:
        name: As on the command line.
        network: The float model.
        images, labels: One batch.
        first_and_last: As of `tfmp.relax`.
    """

    def __init__(self, name, network, images, labels, *, first_and_last):
        self.images, self.labels = images, labels
        bits = None
        if name == "uniform":
            bits = (2,)
        elif name.startswith("candidates_"):
            bits = tuple(range(1, int(name.removeprefix("candidates_")) + 1))
        if name == "float":
            self.model = network
        else:
            self.model = tfmp.relax(
                network,
                **({} if bits is None else {"weight_bits": bits, "activation_bits": bits}),
                relaxation=name if name in _RELAXATIONS else "softmax",
                shared_weights=name != "separate",
                first_and_last=first_and_last,
            )
        if name == "parallel":
            convolve_in_parallel(self.model)
        optimizer = keras.optimizers.SGD(0.001, momentum=0.9)
        self.search = None
        if name != "float" and (bits is None or len(bits) > 1):
            optimizer = tfmp.SelectionOptimizer(optimizer, "adam")
            self.search = tfmp.MixedPrecisionSearch(tfmp.Budget("bitops", like_uniform=(2, 2)))
        self.model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        if self.search is not None:
            self.search.set_model(self.model)

    def step(self):
        """Trains on the batch as `fit` does; returns the seconds that the search callback takes of it."""
        self.model.train_on_batch(self.images, self.labels)
        start = time.perf_counter()
        if self.search is not None:
            self.search.step()
        return time.perf_counter() - start

    def trained_bytes(self):
        """Bytes of the variables that training changes."""
        return sum(int(np.prod(v.shape)) * tf.as_dtype(v.dtype).size for v in self.model.trainable_variables)


def set_case(case):
    """Sets the flags of the network to those of a named case."""
    values = dict(zip(("network", "image_size", "num_classes", "batch", "width"), NAMED_CASES[case], strict=True))
    for name, value in values.items():
        setattr(flags.FLAGS, name, value)


def make_variants(names):
    """Variants by name, with equal weights and data."""
    keras.utils.set_random_seed(0)
    size, count, batch = _IMAGE_SIZE.value, _NUM_CLASSES.value, _BATCH.value
    options = {} if _WIDTH.value is None else {"width": _WIDTH.value}
    network = networks.get(_NETWORK.value)(keras, image_size=size, num_classes=count, **options)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(batch, *network.input_shape[1:])).astype(np.float32)
    labels = rng.integers(0, count, batch)
    return {name: Variant(name, network, images, labels, first_and_last=_ENDS.value) for name in names}


def measure_times(variants):
    """`{name: record}`: first step, and lists of the seconds of a step, of its processor time and of its callback."""
    records = {}
    for name, variant in variants.items():
        start, cpu = time.perf_counter(), time.process_time()
        variant.step()
        records[name] = {"first_step_seconds": time.perf_counter() - start}
        records[name]["first_step_cpu_seconds"] = time.process_time() - cpu
        records[name] |= {"step_seconds": [], "cpu_seconds": [], "callback_seconds": []}
        for _ in range(_WARMUP.value - 1):
            variant.step()
    for _ in range(_ROUNDS.value):
        for name, variant in variants.items():
            start, cpu = time.perf_counter(), time.process_time()
            records[name]["callback_seconds"].append(variant.step())
            records[name]["step_seconds"].append(time.perf_counter() - start)
            records[name]["cpu_seconds"].append(time.process_time() - cpu)
    return records


def measure_memory(name):
    """Most bytes that tensors hold during a step, and bytes of them that stay between steps; see `_MEMORY_OF`."""
    variant = make_variants([name])[name]
    variant.step()
    tf.config.experimental.reset_memory_stats("CPU:0")
    stays = tf.config.experimental.get_memory_info("CPU:0")["current"]
    variant.step()
    return {"peak_bytes": tf.config.experimental.get_memory_info("CPU:0")["peak"], "bytes_between_steps": stays}


def memory_in_process_of_its_own(name):
    """`measure_memory` with an allocator that counts, on one thread so that operations follow in one order."""
    environment = os.environ | {
        "TF_CPU_ALLOCATOR_USE_BFC": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
    }
    command = [sys.executable, *sys.argv, f"--memory_of={name}"]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def summary(record, others):
    """A variant's record with quartiles, and the ratios to the float and the uniform steps of the same rounds.

    Args:
        record: Of `measure_times`.
        others: `{name: record}` of `float` and `uniform`, if they were measured.
    """
    found = {key: record[key] for key in ("first_step_seconds", "first_step_cpu_seconds")}
    for key in ("step_seconds", "cpu_seconds", "callback_seconds"):
        found[key] = list(np.quantile(record[key], (0.25, 0.5, 0.75)))
        for name, other in others.items():
            if key != "callback_seconds":
                ratios = np.divide(record[key], other[key])
                found[key.replace("seconds", f"of_{name}")] = list(np.quantile(ratios, (0.25, 0.5, 0.75)))
    return found


def measure(names):
    """The record of one network, without memory."""
    load = [os.getloadavg()[0]]
    variants = make_variants(names)
    records = measure_times(variants)
    load.append(os.getloadavg()[0])
    others = {name: records[name] for name in ("float", "uniform") if name in records}
    found = {
        name: summary(record, others) | {"trained_bytes": variants[name].trained_bytes()}
        for name, record in records.items()
    }
    return {
        "network": _NETWORK.value,
        "width": _WIDTH.value,
        "image_size": _IMAGE_SIZE.value,
        "num_classes": _NUM_CLASSES.value,
        "batch": _BATCH.value,
        "first_and_last": _ENDS.value,
        "rounds": _ROUNDS.value,
        "variants": found,
        "load_average": load,
        "processors": os.cpu_count(),
        "threads": os.environ.get("TF_NUM_INTRAOP_THREADS", "as many as processors"),
        "machine": platform.machine(),
        "versions": {"python": platform.python_version(), "keras": keras.__version__, "tensorflow": tf.__version__},
    }


def show(result):
    """Prints a line for each variant."""
    for name, record in result["variants"].items():
        peak, trained = (record.get(key, 0) / 2**20 for key in ("peak_bytes", "trained_bytes"))
        ratios = "".join(
            f", {record[f'cpu_of_{other}'][1]:5.2f} of {other}"
            for other in ("float", "uniform")
            if f"cpu_of_{other}" in record
        )
        first, cpu = record["first_step_cpu_seconds"], record["cpu_seconds"][1]
        memory = f"; {peak:8.1f} MiB" if peak else ""
        print(f"{name:14} CPU {cpu:8.4f} s{ratios}; first {first:6.1f} s{memory}, {trained:7.1f} MiB trained")


def measure_cases(cases):
    """Measures networks by name, and writes a file for each if there is an output."""
    for case in cases:
        set_case(case)
        path = os.path.join(_OUTPUT.value, f"{case}.json") if _OUTPUT.value else None
        if path:
            check_writable(path, _OVERWRITE.value)
        result = measure(["float", "uniform", "softmax"])
        print(case)
        show(result)
        if path:
            write_atomically(path, json.dumps(result, indent=2) + "\n", overwrite=_OVERWRITE.value)


def main(argv):
    """Measures and prints a line for each variant."""
    if len(argv) > 1:
        raise app.UsageError(f"Expected no arguments. Received: {argv[1:]}")
    if unknown := {*_CASES.value} - {*NAMED_CASES}:
        raise app.UsageError(f"--cases must be of {', '.join(NAMED_CASES)}. Received: {', '.join(sorted(unknown))}")
    if _CASES.value:
        measure_cases(_CASES.value)
        return
    if _QUICK.value:
        for name, value in _QUICK_FLAGS.items():
            setattr(flags.FLAGS, name, value)
    if _MEMORY_OF.value:
        print(json.dumps(measure_memory(_MEMORY_OF.value)))
        return
    if _OUTPUT.value:
        check_writable(_OUTPUT.value, _OVERWRITE.value)
    result = measure([*_VARIANTS.value, *(f"candidates_{count}" for count in _CANDIDATES.value)])
    found, overwrite = result["variants"], _OVERWRITE.value
    for name in ("times", *(_VARIANTS.value if _MEMORY.value else ())):  # written as it grows
        if name in found:
            found[name] |= memory_in_process_of_its_own(name)
        if _OUTPUT.value:
            write_atomically(_OUTPUT.value, json.dumps(result, indent=2) + "\n", overwrite=overwrite)
            overwrite = True
    show(result)


if __name__ == "__main__":
    app.run(main)
