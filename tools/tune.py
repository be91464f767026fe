r"""Tries budgets and leaves the front of accuracy against cost: `tfmp tune`.

python tools/tune.py model.keras data.npz tuning --budget bitops=2,2 --budget bitops=3,3 --strategy mixed,uniform
python tools/tune.py model.keras data.npz tuning --budget bitops=2,2 --budget bitops=3,3 --strategy mixed,uniform \
        --resume
python tools/tune.py model.keras data.npz smallest --minimize tflite_bytes --max_accuracy_drop 0.01 --max_trials 8
"""

import sys

from tfmp import cli

if __name__ == "__main__":
    sys.exit(cli.main(["tune", *sys.argv[1:]]))
