"""Width multipliers, channel counts and dual precision."""

from tfmp.width.dual_precision_model import dual_precision
from tfmp.width.magnitude_variance import MagnitudeVariance
from tfmp.width.scale_width import scale_width
from tfmp.width.width_for_size import Width, width_for_size

__all__ = ["MagnitudeVariance", "Width", "dual_precision", "scale_width", "width_for_size"]
