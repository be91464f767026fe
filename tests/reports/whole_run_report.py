"""A report in which every part has something."""

from tfmp.reports import (
    Attempt,
    Forecast,
    ForecastRow,
    NetworkLayer,
    OperatorAgreement,
    ParetoFront,
    Parity,
    RunReport,
    WishCheck,
)

LAYERS = (
    NetworkLayer("image", "input"),
    NetworkLayer("stem", "conv2d", ("image",), 8, 8, 9000, 420, "INT8", 12.5, 0.5, 0.0),
    NetworkLayer("block_1/depthwise", "depthwise_conv2d", ("stem",), 8, 8, 4500, 300, "INT8", 8.25, 0.25, 1e-6),
    NetworkLayer("block_1/pointwise", "conv2d", ("block_1/depthwise",), 2, 8, 64000, 1100, "INT2", 40.0, 1.5, 0.02),
    NetworkLayer("sum", "add", ("stem", "block_1/pointwise")),
    NetworkLayer("head" + "_of_a_long_name" * 4, "dense", ("sum",), 4, 4, 640, 350, "INT4", 1.0, 0.125, 0.004),
)
_BITS = {layer.name: (layer.weight_bits, layer.activation_bits) for layer in LAYERS if layer.weight_bits}
_INPUT_SCORES = {4: {4: 0.003, 8: 1e-6}, 8: {8: 0.0}}
_ROWS = [
    ForecastRow(f"bitops, W{b}A{b}", "bitops", "bit operations", 1e6 * b, 4.0**-b, 3 * 4.0**-b, (b, b), 2 * 4.0**-b)
    for b in (2, 3, 4)
]
_POINTS = [
    {"id": "0000", "bitops": 1e6, "val_accuracy": 0.7, "strategy": "mixed", "bits": _BITS},
    {"id": "0001", "bitops": 2e6, "val_accuracy": 0.65, "strategy": "uniform", "bits": _BITS},
    {"id": "0002", "bitops": 3e6, "val_accuracy": 0.8, "strategy": "mixed"},
]
REPORT = RunReport(
    "a <network> & its report",
    "tfmp compress model.keras data.npz --flash 4k",
    {"python": "3.11.0", "tfmp": "0.1.0"},
    {"flash": "at most 4,096 bytes", "target": "litert"},
    (WishCheck("flash", 4096, 3584, "bytes"), WishCheck("accuracy drop", 0.01, 0.0125)),
    (
        Attempt("int8", "post-training at 8 bits", "the cheapest way", "too large", 6144, 0.9875),
        Attempt("mixed", "post-training at bits by sensitivities", "8 bits are too large", "taken", 3584, 0.975),
        Attempt("fine-tuning", "training at these bits", "", "skipped: no training was allowed"),
    ),
    "Post-training at mixed bits is within the flash, and loses 1.25 points.",
    ("Train: omit --no_training.",),
    {"float": 0.9875, "fixed": 0.975, "file": 0.975},
    400,
    LAYERS,
    {"weights": 2400, "biases": 200, "scales": 184, "metadata": 300, "structure": 500},
    {
        name: {
            "weights": {2: 0.02, 4: 0.0011, 8: 0.0},
            "activations": {4: 0.003, 8: 1e-6} if pair[1] == 4 else {8: 0.0},
        }
        for name, pair in _BITS.items()
    },
    "kl",
    Forecast("net", "kl", _ROWS),
    {"loss": (2.5, 1.25, 0.75), "val_accuracy": (0.5, 0.75, 0.8)},
    "bit_fusion",
    (Parity("folded", 1.0, 1.0, None, 0.0, 256), Parity("trained", 0.9375, 0.99609375, 38.25, 0.125, 256)),
    (
        OperatorAgreement("stem", "stem", "conv2d", 1.0, 0),
        OperatorAgreement("sum", "sum", "add", 0.9999999, 1),
    ),
    ParetoFront(_POINTS, "bitops", "val_accuracy"),
)
