"""Which cluster an address means: a running scheduler, processes of this computer, or jobs of a batch system."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client

_EXPECTED = (
    "expected the address of a Dask scheduler (tcp://head:8786, tls://head:8786), local:N for N processes of this "
    "computer, or a JSON file that describes jobs"
)
_MISSING = "is not installed: pip install 'VolumeRetrievalEngine[cluster]'"

#: Classes of dask-jobqueue that a file may name.
JOB_CLASSES = ("SLURMCluster", "PBSCluster", "SGECluster", "LSFCluster")

#: What a worker process of this computer is started with: one thread, and no MALLOC_TRIM_THRESHOLD_. Dask sets that so
#: low that a volume's arrays come from the kernel anew each time, which doubled the time of an indexing run.
_ENVIRONMENT = {"OMP_NUM_THREADS": 1, "MKL_NUM_THREADS": 1, "OPENBLAS_NUM_THREADS": 1}

#: Seconds that a scheduler has to answer.
_ANSWER_SECONDS = 20


@contextmanager
def connected(address: str, direct: bool = False) -> Iterator[Client]:
    """A client of the cluster. What was started for it (processes, jobs) ends with it.

    Args:
        direct: whether workers are asked directly, which they have to be reached for from here; else by way of the
            scheduler.

    Raises:
        ClusterError: nothing answers there, Dask is not installed, or the file does not describe jobs.
    """
    try:
        import distributed
    except ImportError as error:
        raise ClusterError(f"--cluster {address}: Dask {_MISSING}") from error
    # Dask says at length who comes and goes; what matters is told by the run's own progress and report.
    logging.getLogger("distributed").setLevel(logging.WARNING)
    with ExitStack() as opened:
        target: Any = address
        if local := re.fullmatch(r"local:(\d+)", address):
            target = opened.enter_context(_processes(int(local[1])))
        elif address.endswith(".json"):
            target = opened.enter_context(_jobs(Path(address)))
        elif not re.fullmatch(r"(\w+://)?[\w.\-\[\]:]+:\d+", address):
            raise ClusterError(f"--cluster {address}: {_EXPECTED}")
        try:
            client = distributed.Client(target, timeout=_ANSWER_SECONDS, set_as_default=False, direct_to_workers=direct)
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error) or type(error).__name__
            raise ClusterError(f"--cluster {address}: no scheduler answers there ({reason}); {_EXPECTED}") from error
        yield opened.enter_context(client)


def _processes(count: int) -> Any:
    import dask
    from distributed import LocalCluster

    if count < 1:
        raise ClusterError(f"--cluster local:{count}: expected one process or more")
    # They listen on this computer alone, and the dashboard takes any free port.
    with dask.config.set({"distributed.nanny.pre-spawn-environ": _ENVIRONMENT}):
        return LocalCluster(
            n_workers=count, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        )


@contextmanager
def _jobs(file: Path) -> Iterator[Any]:
    """The cluster that a file describes: {"class": "SLURMCluster", "jobs": 8, "cores": 4, "memory": "16GB", ...}.

    What is not "class" or "jobs" goes to the class of dask-jobqueue as it is.
    """
    try:
        values = dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ClusterError(f"{file}: not a JSON file that describes jobs: {error}") from error
    name, jobs = values.pop("class", ""), values.pop("jobs", 0)
    if name not in JOB_CLASSES or not isinstance(jobs, int) or jobs < 1:
        raise ClusterError(f'{file}: expected "class" (one of {", ".join(JOB_CLASSES)}) and "jobs" (how many workers)')
    try:
        import dask_jobqueue
    except ImportError as error:
        raise ClusterError(f"{file}: dask-jobqueue {_MISSING.replace('cluster', 'cluster,jobqueue')}") from error
    try:
        cluster = getattr(dask_jobqueue, name)(**values)
    except (TypeError, ValueError) as error:
        raise ClusterError(f"{file}: {name} does not take these values: {error}") from error
    with cluster:
        cluster.scale(jobs=jobs)
        yield cluster
