"""Prints, as JSON, what quantizers hold after batches that two replicas share, and after the same on one device."""

import json
import sys

import numpy as np
import tensorflow as tf

from tests.quantizers.variable_state import build
from tfmp import quantizers

DEVICES = ("CPU:0", "CPU:1")
# What each replica gets: unequal shares, all zero, none at all, extremes on either.
SHARES = {
    "unequal": ([-3.0, 0.5, 2.0, 0.1], [1.0, 8.0]),
    "zero": ([0.0, 0.0], [0.3, -2.0]),
    "empty": ([], [0.7, -0.4, 2.5]),
}


def observed(quantizer, strategy, batches):
    """The state after the batches as every replica has it, and the rounded values of the last, in order."""
    with strategy.scope():
        state = build(quantizer)

    @tf.function
    def step(x):
        quantizer.observe(x, state)
        return quantizer(x, state)

    for batch in batches:
        shares = [tf.constant(share, tf.float32) for share in batch]
        replicas = strategy.experimental_distribute_values_from_function(
            lambda context, shares=shares: shares[context.replica_id_in_sync_group]
        )
        outputs = strategy.run(step, args=(replicas,))
    rounded = np.concatenate([part.numpy() for part in strategy.experimental_local_results(outputs)])
    copies = {
        name: [float(copy.numpy()) for copy in strategy.experimental_local_results(variable)]
        for name, variable in state.items()
    }
    return {"state": copies, "rounded": rounded.tolist()}


def main():
    device = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * len(DEVICES))
    replicated, alone = tf.distribute.MirroredStrategy(DEVICES), tf.distribute.get_strategy()
    found = {}
    for name in quantizers.names():
        for signed in (True, False):
            if name == "dual_precision" or (name, signed) == ("hwgq", True):
                continue  # for kernels alone
            quantizer = quantizers.get(name, bits=4, signed=signed)
            for case, shares in SHARES.items():
                batches = [shares, SHARES["unequal"]] if case != "unequal" else [shares]
                whole = [[[*batch[0], *batch[1]]] for batch in batches]
                found[f"{name}-{'signed' if signed else 'unsigned'}-{case}"] = [
                    observed(quantizer, replicated, batches),
                    observed(quantizer, alone, whole),
                ]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
