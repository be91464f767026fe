r"""Measures once how long this machine's runtime takes for each layer of a network, in every way of storing it.

    python tools/measure_runtime.py model.keras --output latency.json
    python tools/measure_runtime.py other.keras --output latency.json    # adds the layers that it lacks
    python tools/measure_runtime.py model.keras --target micro --output micro.json

Then `tfmp.Budget(tfmp.costs.RuntimeLatency("latency.json"), like_uniform=(8, 8))`.
"""

from absl import app, flags

import tfmp
from tfmp.graph.targets import TARGETS

_OUTPUT = flags.DEFINE_string("output", "latency.json", "JSON file to write, or to extend if it exists.")
_TARGET = flags.DEFINE_enum("target", "litert", TARGETS, "The runtime.")
_THREADS = flags.DEFINE_integer("threads", 1, "Threads of the runtime.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 1, "The fixed batch of the files.", lower_bound=1)
_RUNS = flags.DEFINE_integer("runs", 15, "How often each file's turn comes.", lower_bound=1)


def main(argv: list[str]) -> None:
    """Measures the models that are named."""
    if len(argv) < 2:
        raise app.UsageError("Expected the path of a saved model. Received: none")
    for path in argv[1:]:
        tfmp.measure_runtime(
            path,
            _OUTPUT.value,
            target=_TARGET.value,
            threads=_THREADS.value,
            batch_size=_BATCH_SIZE.value,
            runs=_RUNS.value,
            verbose=1,
        )


if __name__ == "__main__":
    app.run(main)
