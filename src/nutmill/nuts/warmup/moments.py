"""Running means and sums of squares of draws and gradients, in blocks of a warmup epoch."""

from nutmill._jit import kernel, vector_kernel
from nutmill.nuts.state import MEAN_GRADIENT, MEAN_POSITION, N_BLOCKS, SQUARES_GRADIENT, SQUARES_POSITION


@vector_kernel
def _add_row_into(count, value, mean, squares):
    for i in range(value.shape[0]):
        difference = value[i] - mean[i]
        mean[i] += difference / count
        squares[i] += difference * (value[i] - mean[i])


@kernel
def add_draw(block, moments, position, gradient):
    """Add one draw to a block: its record, and its (4, n) `moments`."""
    block.n_good += 1
    _add_row_into(block.n_good, position, moments[MEAN_POSITION], moments[SQUARES_POSITION])
    _add_row_into(block.n_good, gradient, moments[MEAN_GRADIENT], moments[SQUARES_GRADIENT])


@kernel
def merge(a, b):
    """Return count, mean and sum of squares of two sets together; each is such a triple of floats."""
    count_a, mean_a, squares_a = a
    count_b, mean_b, squares_b = b
    count = count_a + count_b
    if count == 0.0:
        return 0.0, 0.0, 0.0
    difference = mean_b - mean_a
    mean = mean_a + difference * (count_b / count)
    return count, mean, squares_a + squares_b + difference * difference * (count_a * count_b / count)


@kernel
def clear_block(block, moments, start, end):
    """Make a block ready for the draws from `start` up to `end`."""
    block.start = start
    block.end = end
    block.n_good = 0
    block.n_rows = 0
    moments[:, :] = 0.0


@kernel
def in_window(block, n_draws):
    """Whether a block belongs to the latter half of the first `n_draws` draws, by its middle."""
    return block.end > block.start and block.start + block.end >= n_draws


@kernel
def window_start(blocks, n_draws):
    """Return the first draw of the window of a chain with such `blocks`."""
    start = n_draws
    for block in range(N_BLOCKS):
        if in_window(blocks[block], n_draws):
            start = min(start, blocks[block].start)
    return start
