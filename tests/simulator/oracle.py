"""A second implementation of docs/energy_and_latency.md: one layer, plain loops, no arrays. Slow; small layers only."""

import itertools
import math


def ceil_div(a, b):
    return -(-a // b)


def sizes(limit, unit=1):
    found = {limit}
    while unit < limit:
        found.add(unit)
        unit = 2 * unit
    return sorted(found)


def simulate(shape, weight_bits, activation_bits, hardware, batch, objective="latency", depthwise="single_channel"):
    """Counters and total energy of the best schedule; None if no tiling fits."""
    repeats, in_channels, out_channels = shape.groups, shape.in_channels // shape.groups, shape.out_channels
    (kernel_height, kernel_width), (vertical, horizontal) = shape.kernel_size, shape.strides
    values = ((shape.output_size[0] - 1) * vertical + kernel_height) * shape.in_channels * batch
    written = 0  # of the input, bits, which an earlier layer has left to this one to pay
    if hardware.output_bits == "reader" and not shape.reads_network_input:
        written = values * ((shape.output_size[1] - 1) * horizontal + kernel_width) * activation_bits
    if shape.kind == "depthwise_conv2d" and depthwise == "single_channel":
        repeats, in_channels = 1, 1
    elif shape.kind == "depthwise_conv2d" and depthwise == "dense":
        repeats, in_channels = 1, shape.in_channels
    else:
        out_channels //= repeats
    im2col = shape.reads_network_input and shape.kind != "dense"
    height, width = shape.output_size
    best = None
    for b, side, ic, oc in itertools.product(
        sizes(batch),
        sizes(max(height, width)),
        sizes(in_channels),
        sizes(out_channels, 1 if im2col else hardware.output_lanes),
    ):
        tile = {"b": b, "h": min(side, height), "w": min(side, width), "ic": ic, "oc": oc}
        count = {
            "b": ceil_div(batch, b),
            "h": ceil_div(height, tile["h"]),
            "w": ceil_div(width, tile["w"]),
            "ic": ceil_div(in_channels, ic),
            "oc": ceil_div(out_channels, oc),
        }
        for counters in _schedules(
            shape, tile, count, weight_bits, activation_bits, hardware, im2col, written // repeats
        ):
            energy, cycles = _energy(counters, hardware), counters["compute_cycles"] + counters["stall_cycles"]
            key = (cycles, energy) if objective == "latency" else (energy, cycles)
            if best is None or key < best[0]:
                best = (key, counters)
    if best is None:
        return None
    counters = {name: value * repeats for name, value in best[1].items()}
    counters["total_cycles"] = counters["compute_cycles"] + counters["stall_cycles"]
    counters["macs"] = math.prod(shape.kernel_size) * height * width * in_channels * out_channels * batch * repeats
    counters["energy_nj"] = _energy(counters, hardware)
    return counters


def _schedules(shape, tile, count, w, a, hardware, im2col, written):
    (kh, kw), (sh, sw) = shape.kernel_size, shape.strides
    b, h, wd, ic, oc = tile["b"], tile["h"], tile["w"], tile["ic"], tile["oc"]
    factor = hardware.max_bits // max(a, hardware.min_bits) * (hardware.max_bits // max(w, hardware.min_bits))
    lanes, columns = hardware.input_lanes * factor, ceil_div(oc, hardware.output_lanes) * hardware.output_lanes
    patch = h * wd * kh * kw if im2col else (kh + (h - 1) * sh) * (kw + (wd - 1) * sw)
    start = {
        "weights": ceil_div(kh * kw * ic, lanes) * lanes * oc * w,
        "inputs": patch * ic * b * a,
        "outputs": h * wd * columns * b * 32,
    }
    capacity = {
        "weights": hardware.weight_buffer_bytes * 4,
        "inputs": hardware.input_buffer_bytes * 4,
        "outputs": hardware.output_buffer_bytes * 4,
    }
    if any(start[tensor] > capacity[tensor] for tensor in start):
        return
    touches = {"weights": {"ic", "oc"}, "inputs": {"b", "w", "h", "ic"}, "outputs": {"b", "w", "h", "oc"}}
    tiles = math.prod(count.values())
    steps = ceil_div(kh * kw * ic, lanes) if im2col else kh * kw * ceil_div(ic, lanes)
    compute = tiles * b * h * wd * columns // hardware.output_lanes * steps
    sram = _sram(tiles, kh * kw * ic, b * h * wd, oc, columns, steps * lanes, w, a)
    for order in itertools.permutations(count):
        traffic, largest, resident = dict(start), dict(start), dict.fromkeys(start, True)
        for loop in order:
            for tensor in start:
                if not resident[tensor]:
                    traffic[tensor] *= count[loop]
                elif loop in touches[tensor]:
                    traffic[tensor] *= count[loop]
                    if traffic[tensor] > capacity[tensor]:
                        resident[tensor] = False
                    else:
                        largest[tensor] = traffic[tensor]
        filled = writes = traffic["outputs"]  # with partial sums, and with those of the first visit
        ends = sum(largest.values()), largest["outputs"]
        if hardware.output_bits == "reader":
            filled -= start["outputs"] * count["b"] * count["w"] * count["h"] * count["oc"]
            writes = filled + written
            ends = largest["weights"] + largest["inputs"], 0
        reads = traffic["weights"] + traffic["inputs"] + filled
        bandwidth = hardware.dram_bits_per_cycle
        latency = ceil_div(ends[0], bandwidth) + ceil_div(ends[1], bandwidth)
        memory = ceil_div(reads + writes - sum(ends), bandwidth)
        yield {
            "compute_cycles": compute,
            "stall_cycles": max(0, memory - compute) + latency,
            "input_buffer_reads": sram["inputs"],
            "input_buffer_writes": traffic["inputs"],
            "weight_buffer_reads": sram["weights"],
            "weight_buffer_writes": traffic["weights"],
            "output_buffer_reads": sram["outputs"] + traffic["outputs"],
            "output_buffer_writes": sram["outputs"] + filled,
            "dram_reads": reads,
            "dram_writes": writes,
        }


def _sram(tiles, taps, positions, oc, columns, depth, w, a):
    products = depth * columns * positions
    measures = {
        "input": depth * positions * a + products * (w + 32),
        "output": columns * positions * 32 + products * (a + w),
        "weight": depth * columns * w + products * (a + 32),
    }
    stationary = min(measures, key=measures.get)  # the first among equals
    macs = tiles * taps * positions * oc
    return {
        "inputs": (tiles * taps * positions if stationary == "input" else macs) * a,
        "weights": (tiles * taps * oc if stationary == "weight" else macs) * w,
        "outputs": (tiles * oc * positions if stationary == "output" else macs) * 32,
    }


def _energy(counters, hardware):
    energy = counters["compute_cycles"] * hardware.core_nj_per_cycle
    for buffer in ("input_buffer", "weight_buffer", "output_buffer"):
        energy += counters[f"{buffer}_reads"] * getattr(hardware, f"{buffer}_read_nj_per_bit")
        energy += counters[f"{buffer}_writes"] * getattr(hardware, f"{buffer}_write_nj_per_bit")
    return energy + (counters["dram_reads"] + counters["dram_writes"]) * hardware.dram_nj_per_bit
