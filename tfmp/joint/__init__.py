"""The joint search of architecture and precision."""

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
    "JointSettings",
    "ArchitectureCost",
    "Oracle",
    "Reinforce",
    "SearchSpace",
    "Stage",
]
