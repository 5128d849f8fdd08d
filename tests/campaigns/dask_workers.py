"""Workers of Dask that are killed at random moments, with a folder and without one."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from apart import OPTIONS, long
from distributed import Client, LocalCluster

import nutmill
from campaigns.trials import digest_of
from nutmill import sample_numba

N_WORKERS = 2


def dask_workers(folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Kill one of two processes while ten chains are sampled in them; Dask starts another in its place."""
    expected, trial = digest_of(sample_numba(long(), **OPTIONS)), 0
    with (
        LocalCluster(n_workers=N_WORKERS, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        begin = time.monotonic()
        sample_numba(long(), **OPTIONS, executor=client.get_executor())
        usual_s = time.monotonic() - begin
        while True:
            trial += 1
            pids = _pids(client)
            path = folder / str(trial) if rng.random() < 0.5 else None
            killed, after_s = int(rng.choice(pids)), rng.uniform(0.0, usual_s)
            killing = threading.Timer(after_s, os.kill, (killed, signal.SIGKILL))
            killing.start()
            try:
                result = sample_numba(long(), **OPTIONS, executor=client.get_executor(), checkpoint=path, every=0.05)
                how = "same" if digest_of(result) == expected else "other bytes"
            except nutmill.NutmillError as error:
                how = f"told, but lost: {error}"
            killing.join()
            yield f"{'folder' if path else 'no folder'}, after {after_s:.1f} of {usual_s:.1f} s", how


def _pids(client: Client) -> list[int]:
    """Processes of the workers, when there are as many as should be: of one that has died Dask hears with a delay."""
    while True:
        client.wait_for_workers(N_WORKERS, timeout=120)
        with suppress(OSError):
            pids = client.run(os.getpid).values()
            if len(pids) == N_WORKERS:
                return sorted(pids)
        time.sleep(0.1)
