"""Run one candidate once, in its own process: `python -m bench.measure TASK CANDIDATE FOLDER ROWS`."""

import json
import logging
import os
import resource
import sys
import time
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import pyarrow as pa

from bench.data import CHECK_ROWS, Workload
from bench.tasks import TASKS


class NoPandas(MetaPathFinder):
    """Hides pandas, which does not exist in Lambda either."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


def peak_bytes() -> int:
    """Return the most memory that this process has held. `ru_maxrss` would include memory of the parent."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(task: str, candidate: str, folder: str, rows: str) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    pa.set_cpu_count(1)
    logging.disable(logging.INFO)
    work = Workload(Path(folder), int(rows))
    run = TASKS[task].candidates[candidate]
    if "pandas" not in candidate:
        # pyarrow imports pandas if it is installed.
        sys.meta_path.insert(0, NoPandas())
    # A first, small turn loads what is loaded at first use, because functions are warm for most of their work too.
    run(Workload(Path(folder).parent / str(CHECK_ROWS), CHECK_ROWS))
    wall, cpu = time.perf_counter(), time.process_time()
    run(work)
    seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    print(json.dumps({**seconds, "peak": peak_bytes()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
