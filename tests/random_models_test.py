"""Random models from search to file; the file computes the same as the folded model."""

import keras
import numpy as np
import pytest
import tf_keras
from hypothesis import HealthCheck, given, settings

import tfmp
from tests.costs.network_sizes import TOLERANCE_BYTES
from tests.random_models import build, recipes
from tests.transform.fold_models import randomized

EXAMPLES = 2
_PAIRS = ((2, 2), (4, 3), (1, 4), (8, 8), (3, 2))
_QUIET = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)


def check(framework, recipe, folder):
    """A model of a recipe, relaxed, fixed, saved, loaded and exported."""
    model = randomized(build(framework, recipe))
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(24, *tensor.shape[1:])).astype(np.float32) for tensor in model.inputs]
    data = arrays if len(arrays) > 1 else arrays[0]
    search_model = tfmp.relax(model, calibration=data, first_and_last="search")
    names = list(tfmp.discretize(search_model))
    assignment = {name: _PAIRS[index % len(_PAIRS)] for index, name in enumerate(names)}
    fixed = tfmp.fix(search_model, assignment, calibration=data)
    fixed.save(folder / "fixed.keras")
    expected = np.concatenate([np.ravel(x) for x in _listed(fixed(data, training=False))])
    loaded = tfmp.load_model(folder / "fixed.keras")
    found = np.concatenate([np.ravel(x) for x in _listed(loaded(data, training=False))])
    np.testing.assert_array_equal(found, expected)
    for mode in ("fast", "small"):
        path = folder / f"{mode}.tflite"
        tfmp.export_tflite(fixed, path, mode=mode, overwrite=True)
        report = tfmp.compare_tflite(loaded, path, data)
        assert report.first_difference is None, f"{mode}: {report}"
        assert all(operator.equal_share == 1 for operator in report.operators if operator.kind != "softmax"), str(
            report
        )
        foreseen = tfmp.cost(fixed, tfmp.costs.TFLiteBytes(mode=mode))
        assert abs(foreseen - path.stat().st_size) <= TOLERANCE_BYTES


def _listed(outputs):
    return outputs if isinstance(outputs, list | tuple) else [outputs]


@pytest.mark.default_cases("keras")
@pytest.mark.parametrize("framework", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_random_models_are_exported_exactly(framework, tmp_path_factory):
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=_QUIET)
    @given(recipes())
    def examples(recipe):
        check(framework, recipe, tmp_path_factory.mktemp("random"))

    examples()


@pytest.mark.slow
@pytest.mark.parametrize("framework", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_many_random_models_are_exported_exactly(framework, tmp_path_factory):
    @settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=_QUIET)
    @given(recipes())
    def examples(recipe):
        check(framework, recipe, tmp_path_factory.mktemp("random"))

    examples()
