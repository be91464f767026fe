"""Prints the progress of a tuner."""

import time
from typing import Any

from tfmp.tuner.project import Project


class Progress:
    """Prints a line per trial: its id, its result, the best so far, the remaining time.

    Args:
        project: The `Project`, which also has the trials of other workers.
        num_trials: Largest number of trials; None if unknown.
        objective: keras-tuner's `Objective`.
    """

    def __init__(self, project: Project, num_trials: int | None, objective: Any):
        self._project, self._num_trials, self._objective = project, num_trials, objective
        self._start, self._finished_before = time.monotonic(), len(project.records())

    def show(self, trial_id: str) -> None:
        """Prints the line of a trial that has ended."""
        print(self.line(trial_id, time.monotonic() - self._start), flush=True)

    def line(self, trial_id: str, seconds: float) -> str:
        """Returns the line of a trial, given the seconds since the start."""
        records = self._project.records()
        record = self._project.record(trial_id)
        name, sign = self._objective.name, 1 if self._objective.direction == "max" else -1
        best = max((r for r in records if name in r.metrics), key=lambda r: sign * r.metrics[name], default=None)
        of_all = f" of {self._num_trials}" if self._num_trials else ""
        parts = [f"trial {trial_id}, {len(records)}{of_all}"]
        if record is not None:
            parts.append(f"{record.strategy}, {record.budget}")
            if name in record.metrics:
                parts.append(f"{name} {record.metrics[name]:.6g}")
            elif not record.is_completed:
                parts.append(f"failed: {record.reason.splitlines()[0]}")
        if best is not None:
            parts.append(f"best {best.metrics[name]:.6g} (trial {best.trial_id})")
        finished = len(records) - self._finished_before
        if self._num_trials and finished > 0 and self._num_trials > len(records):
            parts.append(f"{_duration(seconds / finished * (self._num_trials - len(records)))} left")
        return "; ".join(parts)


def _duration(seconds):
    minutes = round(seconds / 60)
    return f"{round(seconds)} s" if seconds < 100 else f"{minutes} min" if minutes < 100 else f"{seconds / 3600:.1f} h"
