"""Width multipliers, channel counts and dual precision."""
