"""The role of a process in a distributed search: single, chief or worker."""

import os
import threading

# Set by a `WorkerPool` for the processes that it starts.
POOL_PIPE = "TFMP_WORKER_POOL_PIPE"  # descriptor and inode of a pipe without writes, which closes with the pool
TAKES_UP = "TFMP_TUNER_TAKES_UP"  # the search has begun: overwrite nothing


def tuner_id() -> str:
    """Returns keras-tuner's id of the process."""
    return os.environ.get("KERASTUNER_TUNER_ID", "tuner0")


def is_worker() -> bool:
    """Returns whether a chief hands out the trials."""
    return "KERASTUNER_ORACLE_IP" in os.environ and "chief" not in tuner_id()


def may_overwrite() -> bool:
    """Returns whether the process may overwrite, because it begins a search; workers and restarted chiefs do not."""
    return not is_worker() and TAKES_UP not in os.environ


def end_with_pool() -> None:
    """Lets the process end as soon as the pool that started it has ended, be it by SIGKILL."""
    descriptor, _, inode = os.environ.pop(POOL_PIPE, "").partition(":")
    try:
        is_pipe = bool(descriptor) and str(os.fstat(int(descriptor)).st_ino) == inode
    except OSError:  # a program in between did not pass it on
        is_pipe = False
    if is_pipe:
        threading.Thread(target=_end_with, args=(int(descriptor),), daemon=True).start()


def _end_with(descriptor):
    os.read(descriptor, 1)
    os._exit(1)
