"""Tables of the benchmarks in `tools/`: header and rows, given the records of runs by name."""


def search(records):
    """A row per run and variant of `tools/benchmark_search.py`; times and memory as shares of a uniform step's.

    The processor time of the first step, which traces and compiles, is in those of the float network's.
    """
    rows = []
    for name, record in records.items():
        peak = record["variants"].get("uniform", {}).get("peak_bytes")
        first = record["variants"].get("float", {}).get("first_step_cpu_seconds")
        for variant, found in record["variants"].items():
            low, median, high = found["step_of_uniform"]
            rows.append(
                [
                    name,
                    variant,
                    f"{found['step_seconds'][1]:.3f}",
                    f"{median:.2f} ({low:.2f} to {high:.2f})",
                    f"{found['cpu_of_uniform'][1]:.2f}",
                    f"{found['cpu_of_float'][1]:.2f}" if "cpu_of_float" in found else "",
                    f"{found['first_step_cpu_seconds'] / first:.1f}" if first else "",
                    f"{found['peak_bytes'] / peak:.2f}" if peak and "peak_bytes" in found else "",
                    f"{found['trained_bytes'] / 2**20:.1f}",
                ]
            )
    header = ["run", "variant", "step, s", "of uniform (quartiles)", "processor time, of uniform", "of float"]
    return [*header, "first step, of float", "peak memory, of uniform", "trained variables, MiB"], rows


def files(records):
    """A row per network of `tools/benchmark_files.py`; bytes and times as shares of those of TensorFlow's file."""
    rows = []
    for name, record in sorted(records.items(), key=lambda item: item[1]["files"]["tensorflow"]["bytes"]):
        files, shares = record["files"], []
        theirs = files["tensorflow"]
        for part in ("bytes", "least_us", "median_us"):
            shares += [f"{files[key][part] / theirs[part]:.3f}" for key in ("fast", "fixed")]
        contents = f"{files['fast']['content_bytes'] / theirs['bytes']:.3f}"
        operators = [str(sum(files[key]["operators"].values())) for key in ("tensorflow", "fast", "fixed")]
        rows.append([name, f"{theirs['bytes']:,}", contents, *shares[:2], f"{theirs['least_us']:.1f}", *shares[2:]])
        rows[-1].append(", ".join(operators))
    header = ["network", "TensorFlow bytes", "constants alone", "bytes, fast", "bytes, fixed", "TensorFlow us"]
    header += [f"{part} time, {key}" for part in ("least", "median") for key in ("fast", "fixed")]
    return [*header, "operators"], rows


def sensitivity(records):
    """A row per network of `tools/benchmark_sensitivity.py`."""
    header = ["network", "image size", "images", "layers", "wall time, s", "processor time, s"]
    header += [f"bits within a budget of {cost}, s" for cost in next(iter(records.values()))["budget_seconds"]]
    rows = []
    for record in records.values():
        sizes = [str(record[key]) for key in ("network", "image_size", "num_images", "num_layers")]
        times = [f"{record[key]:.0f}" for key in ("scores_seconds", "scores_cpu_seconds")]
        rows.append([*sizes, *times, *(f"{seconds:.2f}" for seconds in record["budget_seconds"].values())])
    return header, rows


def layers(records):
    """A row per function of `tools/benchmark_layers.py`, of the only run."""
    (record,) = records.values()
    rows = []
    for name, seconds in record["cpu_seconds"].items():
        times = list(seconds.values())
        rows.append([name.replace("_", " "), *(f"{each:.2f}" for each in times), f"{times[-1] / times[-2]:.2f}"])
    counts = list(next(iter(record["cpu_seconds"].values())))
    return ["function", *(f"{count} layers, s" for count in counts), f"{counts[-1]} / {counts[-2]}"], rows


def profile(records):
    """A row per group of operations of `tools/profile_search.py`: milliseconds and events of each variant."""
    names = next(iter(records.values()))["variants"]
    rows = []
    for name, record in records.items():
        for group in next(iter(record["variants"].values())):
            found = [groups[group] for groups in record["variants"].values()]
            rows.append([name, group])
            rows[-1] += [cell for each in found for cell in (f"{each['milliseconds']:.1f}", str(each["events"]))]
    return ["network", "operations", *(f"{key}{part}" for key in names for part in (", ms", " events"))], rows
