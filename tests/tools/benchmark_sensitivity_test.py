import pytest

from tools import benchmark_sensitivity


@pytest.mark.slow
@pytest.mark.parametrize("method", ["gradient", "output"])
def test_measures_scores_and_budgets(method):
    found = benchmark_sensitivity.measure("MobileNet", method, num_images=8, size=32)
    assert found["num_layers"] > 20 and found["scores_seconds"] > 0
    assert set(found["budget_seconds"]) == {"model_size", "bitops"}
