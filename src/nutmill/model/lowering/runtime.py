"""What Numba's code calls of Numba, as LLVM IR: linked into each object, so that it needs no Numba to run.

A block of memory has a header of 48 bytes: count of references, destructor and its argument, address and size of the
data, and a word for allocators of the user, where ours has how large a block is that it keeps. The layout is Numba's
(`nrt_external.h`), because Numba counts the references in line.

`model/lowering/blocks.py` gives the memory, and takes it back.
"""

from nutmill.model.lowering.blocks import BLOCKS, CAPACITY

_DESTRUCTOR, _ARGUMENT, _DATA, _SIZE = 8, 16, 24, 32

_HEADER = 48


def _store(kind: str, value: str, offset: int) -> str:
    at = f"%at{offset}"
    return f"  {at} = getelementptr i8, ptr %info, i64 {offset}\n  store {kind} {value}, ptr {at}\n"


def _load(name: str, kind: str, offset: int) -> str:
    at = f"%at_{name}"
    return f"  {at} = getelementptr i8, ptr %info, i64 {offset}\n  %{name} = load {kind}, ptr {at}\n"


def _filled(data: str, destructor: str = "null", argument: str = "null") -> str:
    """Write a header whose memory has one owner."""
    words = [("i64", "1", 0), ("ptr", destructor, _DESTRUCTOR), ("ptr", argument, _ARGUMENT), ("ptr", data, _DATA)]
    return "".join(_store(*word) for word in [*words, ("i64", "%size", _SIZE)])


_OR_NULL = "  %is_null = icmp eq ptr %info, null\n  br i1 %is_null, label %failed, label %filled\nfilled:\n"
_FAILED = "failed:\n  ret ptr null\n"

RUNTIME = f"""
declare ptr @realloc(ptr, i64)
{BLOCKS}

define ptr @NRT_Allocate(i64 %size) {{
  %data = call ptr @malloc(i64 %size)
  ret ptr %data
}}

define void @NRT_Free(ptr %data) {{
  call void @free(ptr %data)
  ret void
}}

define ptr @NRT_MemInfo_alloc(i64 %size) {{
  %total = add i64 %size, {_HEADER}
  %info = call ptr @nutmill_block(i64 %total)
{_OR_NULL}  %data = getelementptr i8, ptr %info, i64 {_HEADER}
{_filled("%data")}  ret ptr %info
{_FAILED}}}

define ptr @NRT_MemInfo_alloc_aligned(i64 %size, i32 %alignment) {{
  %step = zext i32 %alignment to i64
  %room = add i64 %step, {_HEADER}
  %total = add i64 %size, %room
  %info = call ptr @nutmill_block(i64 %total)
{_OR_NULL}  %last = add i64 %step, {_HEADER - 1}
  %beyond = getelementptr i8, ptr %info, i64 %last
  %mask = sub i64 0, %step
  %data = call ptr @llvm.ptrmask.p0.i64(ptr %beyond, i64 %mask)
{_filled("%data")}  ret ptr %info
{_FAILED}}}

declare ptr @llvm.ptrmask.p0.i64(ptr, i64)

define void @NRT_MemInfo_call_dtor(ptr %info) {{
{_load("destructor", "ptr", _DESTRUCTOR)}  %is_plain = icmp eq ptr %destructor, null
  br i1 %is_plain, label %release, label %destroy
destroy:
{_load("data", "ptr", _DATA)}{_load("size", "i64", _SIZE)}{_load("argument", "ptr", _ARGUMENT)}\
  call void %destructor(ptr %data, i64 %size, ptr %argument)
  br label %release
release:
  call void @nutmill_give(ptr %info)
  ret void
}}

define internal void @nutmill_destroy_items(ptr %data, i64 %size, ptr %of_items) {{
  %is_plain = icmp eq ptr %of_items, null
  br i1 %is_plain, label %release, label %destroy
destroy:
  call void %of_items(ptr %data)
  br label %release
release:
  call void @free(ptr %data)
  ret void
}}

define ptr @NRT_MemInfo_new_varsize_dtor(i64 %size, ptr %of_items) {{
  %data = call ptr @malloc(i64 %size)
  %no_data = icmp eq ptr %data, null
  br i1 %no_data, label %failed, label %header
header:
  %info = call ptr @malloc(i64 {_HEADER})
  %no_header = icmp eq ptr %info, null
  br i1 %no_header, label %undone, label %filled
filled:
{_filled("%data", "@nutmill_destroy_items", "%of_items")}{_store("i64", "0", CAPACITY)}  ret ptr %info
undone:
  call void @free(ptr %data)
  br label %failed
{_FAILED}}}

define ptr @NRT_MemInfo_new_varsize(i64 %size) {{
  %info = call ptr @NRT_MemInfo_new_varsize_dtor(i64 %size, ptr null)
  ret ptr %info
}}

define ptr @NRT_MemInfo_varsize_alloc(ptr %info, i64 %size) {{
  %data = call ptr @malloc(i64 %size)
  %is_null = icmp eq ptr %data, null
  br i1 %is_null, label %failed, label %filled
filled:
{_store("ptr", "%data", _DATA)}{_store("i64", "%size", _SIZE)}  ret ptr %data
{_FAILED}}}

define ptr @NRT_MemInfo_varsize_realloc(ptr %info, i64 %size) {{
{_load("old", "ptr", _DATA)}  %data = call ptr @realloc(ptr %old, i64 %size)
  %is_null = icmp eq ptr %data, null
  br i1 %is_null, label %failed, label %filled
filled:
{_store("ptr", "%data", _DATA)}{_store("i64", "%size", _SIZE)}  ret ptr %data
{_FAILED}}}

define void @NRT_MemInfo_varsize_free(ptr %info, ptr %data) {{
  call void @free(ptr %data)
{_load("own", "ptr", _DATA)}  %is_own = icmp eq ptr %own, %data
  br i1 %is_own, label %forget, label %end
forget:
{_store("ptr", "null", _DATA)}  br label %end
end:
  ret void
}}
"""

# A view of a C-contiguous array in another shape: fills in the strides; 0 if the array is another or the sizes differ.
RESHAPE = """
define i32 @numba_attempt_nocopy_reshape(
  i64 %n, ptr %dims, ptr %strides, i64 %n_new, ptr %new_dims, ptr %new_strides, i64 %item_bytes, i32 %is_f_order) {
  br label %old
old:
  %left = phi i64 [%n, %0], [%axis, %old_next]
  %stride = phi i64 [%item_bytes, %0], [%larger, %old_next]
  %more = icmp sgt i64 %left, 0
  br i1 %more, label %old_axis, label %new
old_axis:
  %axis = sub i64 %left, 1
  %dim_at = getelementptr i64, ptr %dims, i64 %axis
  %dim = load i64, ptr %dim_at
  %stride_at = getelementptr i64, ptr %strides, i64 %axis
  %is = load i64, ptr %stride_at
  %is_one = icmp eq i64 %dim, 1
  %is_next = icmp eq i64 %is, %stride
  %is_fine = or i1 %is_one, %is_next
  br i1 %is_fine, label %old_next, label %failed
old_next:
  %larger = mul i64 %stride, %dim
  br label %old
new:
  %new_left = phi i64 [%n_new, %old], [%new_axis, %new_next]
  %new_stride = phi i64 [%item_bytes, %old], [%new_larger, %new_next]
  %new_more = icmp sgt i64 %new_left, 0
  br i1 %new_more, label %new_next, label %compare
new_next:
  %new_axis = sub i64 %new_left, 1
  %new_dim_at = getelementptr i64, ptr %new_dims, i64 %new_axis
  %new_dim = load i64, ptr %new_dim_at
  %new_stride_at = getelementptr i64, ptr %new_strides, i64 %new_axis
  store i64 %new_stride, ptr %new_stride_at
  %new_larger = mul i64 %new_stride, %new_dim
  br label %new
compare:
  %is_equal = icmp eq i64 %stride, %new_stride
  %answer = zext i1 %is_equal to i32
  ret i32 %answer
failed:
  ret i32 0
}
"""
