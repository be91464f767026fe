"""Width multipliers, channel counts and dual precision."""

from tfmp.width.width_for_size import Width

__all__ = ["Width"]
