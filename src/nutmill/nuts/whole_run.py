"""A whole run of a group in one call: its chains one after the other, from their starts to their last draws."""

from nutmill._jit import kernel
from nutmill.nuts.state import SAMPLING, START, WITHOUT_DRAWS


def run_with(start, advance, pool):
    """Make the function that runs a group by the entry points of `nuts.entry`; it does what a driver of threads does.

    It makes the same draws: what chains learn from each other they learn at barriers, whatever runs between these.

    Parameters
    ----------
    start, advance, pool : njit functions
        As in `nuts.entry.EntryPoints`.

    Returns
    -------
    njit function (table, group, chains, records, n_draws) -> status
        `records` points to the data of each chain, and to one word more: into it goes the number of the chain that
        is under way, which is the one that a status other than 0 is about.
    """

    @kernel
    def run(table, group, chains, records, n_draws):
        n_chains = chains.shape[0]
        if group[0].phase == START:
            for chain in range(n_chains):
                records[n_chains] = chain
                status = start(table, chain, records[chain])
                if status != 0:
                    return status
            pool(table)
        while group[0].phase != SAMPLING:
            for chain in range(n_chains):
                n_missing = 0
                if group[0].phase not in WITHOUT_DRAWS:
                    n_missing = group[0].stage_end - chains[chain].n_draws
                records[n_chains] = chain
                status = advance(table, chain, n_missing, records[chain])
                if status < 0:
                    return status
            pool(table)
        for chain in range(n_chains):
            records[n_chains] = chain
            status = advance(table, chain, n_draws, records[chain])
            if status < 0:
                return status
        return 0

    return run
