"""Means over seeds, with intervals."""

import numpy as np
from scipy import stats


def half_width(values):
    """Half the 95 % interval of a mean (Student's t); None for a single value."""
    count = len(values)
    return float(stats.t.ppf(0.975, count - 1) * np.std(values, ddof=1) / count**0.5) if count > 1 else None


def mean_with_interval(differences):
    """Mean of paired differences with its 95 % interval."""
    if len(differences) < 2:
        return "".join(f"{difference:+.2f}" for difference in differences)
    return f"{np.mean(differences):+.2f} ± {half_width(differences):.2f}"
