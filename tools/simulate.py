r"""Prints cycles, memory accesses and energy of a network on an accelerator, layer by layer: `tfmp simulate`.

    python tools/simulate.py tools/workloads/resnet50.json --uniform 8,8
    python tools/simulate.py tools/workloads/mobilenet_v1.json --uniform 8,8 --batch 1 --depthwise dense
    python tools/simulate.py resnet8 --uniform 4,4
    python tools/simulate.py model.keras --assignment assignment.json --format csv --output energy.csv

The network is a JSON workload, described at `tfmp.simulator.read_workload`, a name in `tfmp.networks`, or a `.keras`
file; a model that holds quantized layers needs neither --assignment nor --uniform.
"""

import sys

from tfmp import cli

if __name__ == "__main__":
    sys.exit(cli.main(["simulate", *sys.argv[1:]]))
