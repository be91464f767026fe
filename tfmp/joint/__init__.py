"""The joint search of architecture and precision."""

import importlib
from typing import Any

from tfmp.joint.architecture_cost import ArchitectureCost
from tfmp.joint.block_spec import BlockCandidates, BlockSpec
from tfmp.joint.categoricals import Categoricals
from tfmp.joint.cost_gradient import CostGradient, ExactGradient, Reinforce
from tfmp.joint.discrete_network import DiscreteNetwork
from tfmp.joint.joint_settings import JointSettings
from tfmp.joint.oracle import Oracle
from tfmp.joint.search_space import BlockPlace, SearchSpace, Stage

__all__ = [
    "BlockCandidates",
    "BlockSpec",
    "BlockPlace",
    "Categoricals",
    "CostGradient",
    "DiscreteNetwork",
    "ExactGradient",
    "JointSearch",
    "JointSettings",
    "ArchitectureCost",
    "Oracle",
    "Reinforce",
    "SearchSpace",
    "Stage",
    "build_network",
]

_OF_KERAS = {"JointSearch": "tfmp.joint.joint_search", "build_network": "tfmp.joint.derived_model"}


def __getattr__(name: str) -> Any:
    """Loads names that need Keras when they are first used."""
    if name in _OF_KERAS:
        return getattr(importlib.import_module(_OF_KERAS[name]), name)
    raise AttributeError(f"module 'tfmp.joint' has no attribute {name!r}")
