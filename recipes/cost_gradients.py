"""How well REINFORCE estimates the gradient of the expected energy, against the exact one.

    python -m recipes.cost_gradients --seeds=0,1,2

A method is a baseline. For random logits (by the seed) it draws many estimates at each number of samples and compares
them with the exact gradient, all relative to the exact gradient's norm:

- `bias`: norm of the mean's difference, `bias_by_chance`: what an unbiased estimate of this variance would show;
- `covered`: share of the components whose 95 % confidence interval holds the exact one;
- `deviation`: root of the summed variances of a single estimate;
- `cosine`: mean cosine between a single estimate and the exact gradient.
"""

import math
import time

import numpy as np

from recipes import experiment
from tfmp import costs
from tfmp.joint import ArchitectureCost, ExactGradient, Reinforce
from tfmp.joint.search_space import SearchSpace


def measured(baseline):
    """The method of a baseline."""

    def run_baseline(run):
        config = run.config
        cost, space = costs.Energy(batch=config["batch"]), SearchSpace.from_dict(config["space"])
        exact_gradient = ExactGradient(space, cost)
        rng = np.random.default_rng(run.seed)
        logits = rng.normal(size=exact_gradient.tables.categoricals.shape) * config["logits_deviation"]
        exact = exact_gradient.estimate(logits)
        known = {
            str(samples): comparison(
                Reinforce(space, ArchitectureCost(cost), samples=samples, baseline=baseline),
                logits,
                exact,
                config["num_estimates"],
            )
            for samples in config["samples"]
            if samples > 1 or baseline != "leave_one_out"
        }
        return {"expected_mj": exact.expected / 1e6, "by_samples": known}

    run_baseline.__doc__ = f"The baseline `{baseline}`."
    return run_baseline


def comparison(reinforce, logits, exact, num_estimates):
    """Returns statistics of many estimates, without the first ones, from which the moving average starts."""
    start, warm_up = time.process_time(), 20
    found = [reinforce.estimate(logits, (step,)).gradient for step in range(num_estimates + warm_up)][warm_up:]
    seconds = time.process_time() - start
    found, size = np.array(found), np.linalg.norm(exact.gradient)
    errors = found.std(axis=0, ddof=1) / math.sqrt(num_estimates)
    differences, free = np.abs(found.mean(axis=0) - exact.gradient), errors > 0
    products = (found * exact.gradient).sum(axis=(1, 2))
    return {
        "bias": float(np.linalg.norm(differences) / size),
        "bias_by_chance": float(np.linalg.norm(errors) / size),
        "covered": float((differences[free] < 1.96 * errors[free]).mean()),
        "deviation": float(math.sqrt(found.var(axis=0, ddof=1).sum()) / size),
        "cosine": float(np.mean(products / (np.linalg.norm(found, axis=(1, 2)) * size))),
        "cpu_ms_of_an_estimate": 1e3 * seconds / (num_estimates + warm_up),
    }


METHODS = {baseline: measured(baseline) for baseline in ("none", "moving_average", "leave_one_out")}

if __name__ == "__main__":
    experiment.main("cost_gradients", METHODS)
