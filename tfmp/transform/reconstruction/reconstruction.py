"""Settings of the reconstruction after training."""

import dataclasses
import os

from tfmp.checks import check_integer, check_number, check_path


@dataclasses.dataclass(frozen=True)
class Reconstruction:
    """How `post_training="reconstruction"` learns the rounding of kernels; to be given in place of the name.

    Args:
        iterations: Number of updates for each block.
        batch_size: Samples of an update.
        learning_rate: That of the rounding, for Adam; it falls to zero as a cosine.
        seed: Integer that determines the batches. With the same seed, data and machine, the result is the same.
        backup_dir: A folder for the state after each block. If the process is killed, the same call resumes after the
            last complete block. The folder is removed at the end. None writes nothing.

    Raises:
        ValueError: If a number is out of range.
        TypeError: If `backup_dir` is not a path.

    Example:
        >>> settings = tfmp.Reconstruction(iterations=2000, backup_dir="runs/reconstruction")
        >>> fixed = tfmp.quantize(model, (4, 8), calibration=x_train[:1024], post_training=settings)

    Reference: AdaRound (Nagel et al., 2020, https://arxiv.org/abs/2004.10568) on the blocks of BRECQ (Li et al., 2021,
    https://arxiv.org/abs/2102.05426)
    """

    iterations: int = 300
    batch_size: int = 32
    learning_rate: float = 0.1
    seed: int = 0
    backup_dir: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        for name in ("iterations", "batch_size"):
            check_integer(name, getattr(self, name), at_least=1)
        check_number("learning_rate", self.learning_rate, above=0)
        check_integer("seed", self.seed, at_least=0)
        if self.backup_dir is not None:
            check_path("backup_dir", self.backup_dir)
