"""Memory for the arrays of native code, as LLVM IR: malloc's, but large blocks are kept from one gradient to the next.

malloc returns large blocks to the system, which clears their pages whenever they come back: a sixth of some gradients.
So they wait here, in slots that threads take from and put into without locks, until `release` is called.
"""

from nutmill.native.object import RELEASE

# In the header of a block (`model/lowering/runtime.py`): its bytes, if it is one that is kept, else 0.
CAPACITY = 40

# glibc may map blocks of this size and more, and unmap them when they are freed.
LARGE = 1 << 17
# A thread begins to look at a place of its own, so that it mostly finds memory that is near its core. 2^64 / phi
# scatters the addresses by which threads are known over the places.
_BITS = 8
SLOTS = 1 << _BITS
_SCATTER = 0x9E3779B97F4A7C15 - (1 << 64)


def _each_slot(body: str) -> str:
    """Go once through all slots, from the thread's own on: `body` sees %slot, and goes to %next or elsewhere."""
    return f"""  %self = call i64 @pthread_self()
  %scattered = mul i64 %self, {_SCATTER}
  %own = lshr i64 %scattered, {64 - _BITS}
  br label %look
look:
  %step = phi i64 [0, %seek], [%further, %next]
  %place = add i64 %own, %step
  %index = and i64 %place, {SLOTS - 1}
  %slot = getelementptr i64, ptr @nutmill_kept, i64 %index
{body}
next:
  %further = add i64 %step, 1
  %is_last = icmp eq i64 %further, {SLOTS}
  br i1 %is_last, label %none, label %look
"""


_TAKE = f"""  %seen = load atomic i64, ptr %slot monotonic, align 8
  %is_empty = icmp eq i64 %seen, 0
  br i1 %is_empty, label %next, label %take
take:
  %taken = atomicrmw xchg ptr %slot, i64 0 acq_rel
  %is_gone = icmp eq i64 %taken, 0
  br i1 %is_gone, label %next, label %judge
judge:
  %info = inttoptr i64 %taken to ptr
  %capacity_at = getelementptr i8, ptr %info, i64 {CAPACITY}
  %capacity = load i64, ptr %capacity_at
  %is_enough = icmp uge i64 %capacity, %total
  %is_near = icmp ule i64 %capacity, %most
  %fits = and i1 %is_enough, %is_near
  br i1 %fits, label %found, label %back
back:
  call void @nutmill_give(ptr %info)
  br label %next
found:
  ret ptr %info"""

_PUT = """  %seen = load atomic i64, ptr %slot monotonic, align 8
  %is_empty = icmp eq i64 %seen, 0
  br i1 %is_empty, label %put, label %next
put:
  %pair = cmpxchg ptr %slot, i64 0, i64 %word acq_rel monotonic
  %is_put = extractvalue {i64, i1} %pair, 1
  br i1 %is_put, label %done, label %next"""

_FREE = """  %taken = atomicrmw xchg ptr %slot, i64 0 acq_rel
  %info = inttoptr i64 %taken to ptr
  call void @free(ptr %info)
  br label %next"""

# Whoever exchanges the word of a slot for zero owns the block: nobody else reads it. What hands blocks out is not
# inlined, so that LLVM goes on knowing that nothing else points to them.
BLOCKS = f"""
declare noalias ptr @malloc(i64)
declare void @free(ptr)
declare i64 @pthread_self()
@nutmill_kept = internal global [{SLOTS} x i64] zeroinitializer

define internal noalias ptr @nutmill_block(i64 %total) noinline {{
  %is_large = icmp uge i64 %total, {LARGE}
  br i1 %is_large, label %seek, label %none
seek:
  %most = shl i64 %total, 1
{_each_slot(_TAKE)}none:
  %fresh = call ptr @malloc(i64 %total)
  %no_room = icmp eq ptr %fresh, null
  br i1 %no_room, label %failed, label %made
made:
  %kept = select i1 %is_large, i64 %total, i64 0
  %at = getelementptr i8, ptr %fresh, i64 {CAPACITY}
  store i64 %kept, ptr %at
  ret ptr %fresh
failed:
  ret ptr null
}}

define internal void @nutmill_give(ptr %info) {{
  %at = getelementptr i8, ptr %info, i64 {CAPACITY}
  %capacity = load i64, ptr %at
  %is_small = icmp eq i64 %capacity, 0
  br i1 %is_small, label %none, label %seek
seek:
  %word = ptrtoint ptr %info to i64
{_each_slot(_PUT)}none:
  call void @free(ptr %info)
  br label %done
done:
  ret void
}}

define void @{RELEASE}() {{
seek:
{_each_slot(_FREE)}none:
  ret void
}}
"""
