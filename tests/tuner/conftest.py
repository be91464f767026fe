"""Trials of two steps run eagerly."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _eagerly(eagerly):
    pass
