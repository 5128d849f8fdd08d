"""Memory for what does not outlive a function or a step of a loop: pieces of the caller's stack, and reused blocks."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext

_WORD = ir.IntType(64)
LINE = 64  # bytes that a processor reads at once
_BLOCK = types.MemInfoPointer(types.voidptr)


class Pieces:
    """Memory of the caller's stack, a piece for each array that may be small: malloc takes as long as a short loop.

    It begins at `pointer`, and has `size` bytes once all is written.
    """

    # Of a piece, and how many there are at most: more of them would lie far apart.
    BYTES, MOST = 1024, 32

    def __init__(self, pointer: ir.Value):
        self._pointer, self._n_taken = pointer, 0

    @property
    def size(self) -> int:
        """Bytes of all pieces."""
        return self._n_taken * self.BYTES

    def memory(self, builder: ir.IRBuilder) -> ir.Value:
        """Memory for all pieces, once they are taken: of the stack of the function that the builder writes."""
        place = cgutils.alloca_once(builder, ir.IntType(8), size=max(self.size, 1))
        place.align = LINE
        return place

    def next(self, builder: ir.IRBuilder) -> ir.Value | None:
        """Pointer to the next piece; None if all are taken."""
        if self._n_taken == self.MOST:
            return None
        self._n_taken += 1
        return builder.gep(self._pointer, [_WORD(self.size - self.BYTES)], inbounds=True)


class Scratch:
    """Memory for the arrays of a loop's step, which do not outlive the step: allocated once, not in each step.

    Each place of the step that makes an array has a block of its own, which grows when the array does. `pieces` is
    memory of the caller's stack, where blocks begin if they are small.
    """

    def __init__(self, pieces: Pieces | None = None) -> None:
        self._pieces = pieces
        self._blocks: list[tuple[ir.Value, ir.Value]] = []

    def block(self, context: BaseContext, builder: ir.IRBuilder, size: ir.Value, align: ir.Value) -> ir.Value:
        """Pointer to memory of at least `size` bytes, for the place where the builder stands."""
        piece = None
        if self._pieces:
            with builder.goto_entry_block():
                piece = self._pieces.next(builder)
        header = cgutils.alloca_once(builder, cgutils.voidptr_t)  # none at first: zeros
        capacity = cgutils.alloca_once(builder, _WORD)
        self._blocks.append((header, capacity))
        if piece is None:
            with builder.if_then(builder.icmp_unsigned(">=", size, builder.load(capacity)), likely=False):
                _grow(context, builder, (size, align), (header, capacity))
            return context.nrt.meminfo_data(builder, builder.load(header))
        before = builder.block
        with builder.if_then(builder.icmp_unsigned(">", size, _WORD(Pieces.BYTES))):
            with builder.if_then(builder.icmp_unsigned(">=", size, builder.load(capacity)), likely=False):
                _grow(context, builder, (size, align), (header, capacity))
            data = context.nrt.meminfo_data(builder, builder.load(header))
            after = builder.block
        return either(builder, (piece, before), (data, after))

    def release(self, context: BaseContext, builder: ir.IRBuilder) -> None:
        """Give all blocks back, once the loop is over."""
        for header, capacity in self._blocks:
            context.nrt.decref(builder, _BLOCK, builder.load(header))
            builder.store(header.type.pointee(None), header)
            builder.store(_WORD(0), capacity)


def _grow(
    context: BaseContext, builder: ir.IRBuilder, asked: tuple[ir.Value, ir.Value], block: tuple[ir.Value, ir.Value]
) -> None:
    """Replace a block by one of a size and alignment."""
    (size, align), (header, capacity) = asked, block
    context.nrt.decref(builder, _BLOCK, builder.load(header))
    builder.store(context.nrt.meminfo_alloc_aligned(builder, size, align), header)
    builder.store(builder.add(size, _WORD(1)), capacity)  # so that no bytes are a block too


def either(builder: ir.IRBuilder, *values: tuple[ir.Value, ir.Block]) -> ir.Value:
    """The value of the block that the function has come from."""
    chosen = builder.phi(values[0][0].type)
    for value, block in values:
        chosen.add_incoming(value, block)
    return chosen
