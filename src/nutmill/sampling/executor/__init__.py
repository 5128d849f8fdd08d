"""Groups of chains as tasks of any `concurrent.futures` executor: processes, threads, Dask."""
