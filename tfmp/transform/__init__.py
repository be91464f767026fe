"""Models in, models out: relax, fix, fold."""
