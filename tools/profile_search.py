r"""Shows which operations a search step takes its time for, beside a step at fixed bits and one in floating point.

    python -m tools.profile_search --case=mobilenet_v1 --output=profile.json

TensorFlow's profiler records each operation, and XLA's loops within it. The time of an operation is that without those
within it, the least of some steps: on a loaded machine, the others contain waiting. What the profiler itself adds is
part of `scheduling`.
"""

import collections
import json
import os
import pathlib
import re
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from absl import app, flags
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from tfmp.files.atomic_file import check_writable, write_atomically
from tools import benchmark_search

_CASE = flags.DEFINE_enum("case", "mobilenet_v1", list(benchmark_search.NAMED_CASES), "The network.")
_STEPS = flags.DEFINE_integer("steps", 8, "Recorded steps of each variant.", lower_bound=1)

# The first pattern that an event's name matches; what matches none only contains other events.
GROUPS = {
    "convolutions and products": r"Conv2d|Conv2D|Depthwise|MatMul",
    "quantizers, compiled loops": r"_fusion",
    "launches of these": r"ProcessAsync|CpuExecutable",
    "scheduling": r"ExecutorState::Process",
    "normalization and its gradient": r"_bn_\d+/|/batch_normalization|bn\d*_\d+/",
    "quantizers, plain operations": r"_selector|PartitionedCall_?\d*/",
    "optimizers": r"^(sgd|adam|adafactor)(_\d+)?/",
    "everything else": r"^[\w/.-]+:_?\w+$",
}


def own_times(events):
    """Yields name and duration without the events within, given `(start, duration, name)` of one thread."""
    open_events = []
    for start, duration, name in sorted(events, key=lambda event: (event[0], -event[1])):
        while open_events and start >= open_events[-1][0]:
            yield tuple(open_events.pop()[1:])
        if open_events:
            open_events[-1][2] -= duration
        open_events.append([start + duration, name, duration])
    yield from (tuple(event[1:]) for event in open_events)


def recorded(step):
    """Runs a step; returns `{name: (milliseconds, number)}` of the events of TensorFlow's threads."""
    times, numbers = collections.Counter(), collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            step()
        content = next(pathlib.Path(folder).rglob("*.xplane.pb")).read_bytes()
    for plane in xplane_pb2.XSpace.FromString(content).planes:
        for line in plane.lines if plane.name == "/host:CPU" else ():
            named = ((event, plane.event_metadata[event.metadata_id].name) for event in line.events)
            for name, picoseconds in own_times((each.offset_ps, each.duration_ps, name) for each, name in named):
                times[name] += picoseconds / 1e9
                numbers[name] += 1
    return {name: (times[name], numbers[name]) for name in times}


def group_of(name):
    """Returns the group of an event's name, None for what only contains others."""
    return next((group for group, pattern in GROUPS.items() if re.search(pattern, name)), None)


def profile(step):
    """Returns `{group: {"milliseconds": least of the steps, "events": number}}`."""
    steps = [recorded(step) for _ in range(_STEPS.value)]
    found = {group: {"milliseconds": 0.0, "events": 0} for group in GROUPS}
    for name, (_, number) in steps[-1].items():
        group = group_of(name)
        if group is not None:
            found[group]["milliseconds"] += min(each[name][0] for each in steps if name in each)
            found[group]["events"] += number
    return found


def main(argv):
    """Prints a line for each group of operations."""
    if len(argv) > 1:
        raise app.UsageError(f"Expected no arguments. Received: {argv[1:]}")
    output = flags.FLAGS.output
    if output:
        check_writable(output, flags.FLAGS.overwrite)
    benchmark_search.set_case(_CASE.value)
    variants = benchmark_search.make_variants(["float", "uniform", "softmax"])
    for variant in variants.values():
        for _ in range(3):
            variant.step()
    found = {name: profile(variant.step) for name, variant in variants.items()}
    for group in GROUPS:
        print(group.ljust(32), *(f"{name} {found[name][group]['milliseconds']:7.2f} ms" for name in found))
    if output:
        result = {"case": _CASE.value, "steps": _STEPS.value, "load_average": os.getloadavg()[0], "variants": found}
        write_atomically(output, json.dumps(result, indent=2) + "\n", overwrite=flags.FLAGS.overwrite)


if __name__ == "__main__":
    app.run(main)
