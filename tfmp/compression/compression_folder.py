"""The folder of a compression: its state while it runs, and its results."""

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from tfmp.files.atomic_file import check_space, check_writable, link_or_copy, remove_leftovers, synchronize
from tfmp.files.folder_locks import FolderLocks
from tfmp.files.json_record import JsonRecord
from tfmp.files.run_identity import difference_text
from tfmp.reports.overlay import check_overlays

REPORT, PAGE, RUN, WORK, OVERLAYS = "report.json", "report.html", "run.json", "work", "overlays"
MODEL, ASSIGNMENT, FILE, SENSITIVITY = "fixed.keras", "assignment.json", "model.tflite", "sensitivity.json"
_RECORD = JsonRecord("tfmp.Compression", "the settings of a compression", "`tfmp.compress`", needed=("identity",))


class CompressionFolder:
    """Results, and in the folder `work` all that is finished before them, from which the same run resumes.

    `report.json` is removed first and written last: if it exists, all files beside it are of one run.

    Args:
        path: The folder; created if missing.
        overwrite: Whether the results and the state of another run are replaced.
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False):
        self.path, self.overwrite = pathlib.Path(path).absolute(), overwrite
        self.work = self.path / WORK

    @property
    def is_complete(self) -> bool:
        """Whether all results are there."""
        return (self.path / REPORT).is_file()

    @contextlib.contextmanager
    def opened(self, identity: Mapping[str, Any], command: str) -> Iterator[None]:
        """Locks the folder for a run while the block runs.

        Args:
            identity: What determines the results, as JSON.
            command: The command that repeats the run.

        Raises:
            OSError: If the folder cannot be written, or has files that are not to be overwritten.
            ValueError: If it has another run, or another process works in it.
        """
        is_new = not self.path.exists()
        check_space(self.path, way_out="Choose another output folder")
        try:
            with FolderLocks(self.path).searching():
                self._begin(json.loads(json.dumps(identity)), command)
                yield
        finally:
            if is_new:
                with contextlib.suppress(OSError):
                    self.path.rmdir()  # if it stayed empty

    def _begin(self, identity, command):
        run = self.path / RUN
        if run.exists():
            recorded = _RECORD.read(run, lambda content: content["identity"])
            difference = difference_text(recorded, identity)
            if not difference and not (self.is_complete and self.overwrite):
                return
            if difference and not self.overwrite:
                raise ValueError(
                    f"The folder {str(self.path)!r} has another run: {difference}. Pass overwrite=True to replace it, "
                    "or choose another output folder."
                )
            shutil.rmtree(self.work, ignore_errors=True)
        elif self.work.exists():
            raise FileExistsError(f"{str(self.work)!r} is of something else. Choose another output folder.")
        for name in (REPORT, PAGE, FILE, MODEL, ASSIGNMENT, SENSITIVITY, RUN):
            check_writable(self.path / name, self.overwrite)
        check_overlays(self.path / OVERLAYS, overwrite=self.overwrite)
        self._remove(REPORT)
        _RECORD.write({"command": command, "identity": identity}, run, overwrite=True)
        self.work.mkdir(exist_ok=True)

    def publish(self, files: Mapping[str, pathlib.Path]) -> None:
        """Links result files to their places; the reports are written by the caller, `report.json` last.

        Args:
            files: Name of a result to the finished file.
        """
        self._remove(REPORT)
        for name, source in files.items():
            remove_leftovers(self.path / name)
            link_or_copy(source, self.path / name, overwrite=True)

    def finish(self) -> None:
        """Removes the state of the run, after all results are written."""
        shutil.rmtree(self.work, ignore_errors=True)

    def _remove(self, name):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path / name)
            synchronize(self.path)
