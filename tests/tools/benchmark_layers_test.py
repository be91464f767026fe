from tools import benchmark_layers


def test_measures_every_function_at_every_size():
    found = benchmark_layers.measure([2, 4], repetitions=1)
    names = ["relax", "cost", "tflite_bytes", "peak_activation_memory", "discretize", "fix"]
    assert [*found] == names
    assert all([*seconds] == ["2", "4"] and min(seconds.values()) >= 0 for seconds in found.values())
