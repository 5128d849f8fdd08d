"""CPU layouts: the chosen one beside the best of all, whole jobs that choose by themselves, and what choosing costs."""
