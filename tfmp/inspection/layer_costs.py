"""`tfmp.layer_table`: bits, BitOps, bytes and energy of each layer."""

from tfmp import costs
from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.inspection.simulate_model import simulate
from tfmp.reports import LayerRow, LayerTable
from tfmp.simulator import Hardware


def layer_table(fixed: KerasModel, *, hardware: str | Hardware = "bit_fusion", batch: int = 16) -> LayerTable:
    """Returns bits, BitOps, bytes and energy of every layer of a fixed model.

    Args:
        fixed: A fixed model.
        hardware: A `tfmp.simulator.Hardware`, or the name of a preset.
        batch: Samples per batch on the simulated machine.

    Returns:
        A `LayerTable`; `print` it. A layer that is called twice counts twice.

    Raises:
        ValueError: If bits are open, or a layer is in floating point.
    """
    framework = framework_of(fixed, "fixed")
    report = simulate(fixed, hardware=hardware, batch=batch)
    energy_nj: dict[str, float] = {}
    for row in report.layers:
        if row.modelled:
            energy_nj[row.name] = energy_nj.get(row.name, 0.0) + row.energy_nj["total"] / batch
    graph = framework.read(fixed, weights=False)
    bitops = costs.tables(graph, costs.BitOps())
    size = costs.ModelSize()
    rows = []
    for name, table in bitops.items():
        layer = graph.layers[name]
        bits = size.table(layer.require_shape(), layer.weight.formats, layer.activation.formats)[0, 0]
        rows.append(
            LayerRow(name, layer.weight.bits[0], layer.activation.bits[0], table[0, 0], bits / 8, energy_nj[name])
        )
    return LayerTable(tuple(rows), report.hardware)
