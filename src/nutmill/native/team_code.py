"""How threads share the blocks of a loop, as LLVM IR: who takes which block, how threads wait, and how they are woken.

A team is a thread that computes gradients, whichever it is at the moment, and helpers that wait for it. Blocks are
taken in order, some at once, by whoever is free: a helper that is late, or gone, delays nobody but itself.
"""

import time

# Of a pool, in bytes: the address of `nutmill_share`, the number of teams, threads of each team; then the teams.
SHARE, N_TEAMS, N_THREADS, FIRST_TEAM = 0, 8, 16, 64
TEAM_BYTES = 512
# Of a team, in bytes. What several threads write has a cache line to itself.
_BUSY, _TICKET, _LEFT, _BODY, _ARGUMENTS, _FAILED = 0, 64, 128, 192, 200, 208
_IDLE, _AWAITS, _IS_OVER, _MUTEX, _WORK, _DONE = 256, 264, 272, 320, 384, 448
# Memory that the body of a loop may use while it runs.
PLACE_BYTES = 32 * 1024
# A thread that waits looks for so long, asking for the time after so many pauses, and then sleeps.
_SPIN_NS, _PAUSES = 50_000, 8
# Whoever takes blocks takes of those that are left this share, divided by the threads of the team.
_SHARE_OF_LEFT = 2

_PAUSE = {
    "x86_64": ("declare void @llvm.x86.sse2.pause()", "  call void @llvm.x86.sse2.pause()\n"),
    "aarch64": ("declare void @llvm.aarch64.hint(i32)", "  call void @llvm.aarch64.hint(i32 1)\n"),
}


def _at(name: str, offset: int) -> str:
    """Make %name the pointer to what lies so many bytes into the team."""
    return f"  %{name}_word = add i64 %team, {offset}\n  %{name} = inttoptr i64 %{name}_word to ptr\n"


def _wait(name: str, is_over: str, counted: int, condition: int) -> str:
    """A function that returns when `is_over` holds: it looks for a while, and then sleeps, counted among sleepers.

    Sleepers count themselves before they look for the last time, and who changes something looks for sleepers after
    that, both in one order that all threads see (seq_cst): one of the two sees the other.
    """
    return f"""
define internal void @{name}(i64 %team, i64 %seen) {{
{_at("counted", counted)}{_at("condition", condition)}{_at("mutex", _MUTEX)}\
  %begin = call i64 @now()
  %end = add i64 %begin, {_SPIN_NS}
  br label %look
look:
  %is_over = call i1 @{is_over}(i64 %team, i64 %seen)
  br i1 %is_over, label %over, label %pause
pause:
<pauses>  %now = call i64 @now()
  %goes_on = icmp slt i64 %now, %end
  br i1 %goes_on, label %look, label %sleep
sleep:
  %locked = call i32 @pthread_mutex_lock(ptr %mutex)
  %more = atomicrmw add ptr %counted, i64 1 seq_cst
  br label %check
check:
  %is_over_now = call i1 @{is_over}(i64 %team, i64 %seen)
  br i1 %is_over_now, label %awake, label %wait
wait:
  %woken = call i32 @pthread_cond_wait(ptr %condition, ptr %mutex)
  br label %check
awake:
  %less = atomicrmw sub ptr %counted, i64 1 seq_cst
  %unlocked = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %over
over:
  ret void
}}
"""


def _wake(name: str, counted: int, condition: int) -> str:
    return f"""
define internal void @{name}(i64 %team) {{
{_at("counted", counted)}{_at("condition", condition)}{_at("mutex", _MUTEX)}\
  %sleepers = load atomic i64, ptr %counted seq_cst, align 8
  %is_none = icmp eq i64 %sleepers, 0
  br i1 %is_none, label %end, label %wake
wake:
  %locked = call i32 @pthread_mutex_lock(ptr %mutex)
  %sent = call i32 @pthread_cond_broadcast(ptr %condition)
  %unlocked = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %end
end:
  ret void
}}
"""


# A ticket is one word: which loop it is of (32 bits), the next block, and how many there are (16 bits each). Whoever
# exchanges it for one with a later block owns the blocks between. Body and arguments of a loop are read only then:
# they do not change before all of its blocks are done.
_TEXT = f"""
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)
declare i32 @clock_gettime(i32, ptr)
<declared>

define void @nutmill_release() {{
  ret void
}}

define internal i64 @now() {{
  %time = alloca [2 x i64]
  %failed = call i32 @clock_gettime(i32 {time.CLOCK_MONOTONIC}, ptr %time)
  %seconds = load i64, ptr %time
  %rest_at = getelementptr i64, ptr %time, i64 1
  %rest = load i64, ptr %rest_at
  %whole = mul i64 %seconds, 1000000000
  %total = add i64 %whole, %rest
  ret i64 %total
}}

define internal i1 @is_new(i64 %team, i64 %seen) {{
{_at("ticket", _TICKET)}  %word = load atomic i64, ptr %ticket seq_cst, align 8
  %loop = lshr i64 %word, 32
  %is_new = icmp ne i64 %loop, %seen
  ret i1 %is_new
}}

define internal i1 @is_done(i64 %team, i64 %unused) {{
{_at("left", _LEFT)}  %blocks = load atomic i64, ptr %left seq_cst, align 8
  %is_done = icmp eq i64 %blocks, 0
  ret i1 %is_done
}}

{_wait("await_work", "is_new", _IDLE, _WORK)}
{_wait("await_done", "is_done", _AWAITS, _DONE)}
{_wake("wake_helpers", _IDLE, _WORK)}
{_wake("wake_leader", _AWAITS, _DONE)}

define internal i32 @run(i64 %body, i64 %arguments, i64 %place, i64 %first, i64 %end) {{
  %result = alloca i64
  %exception = alloca ptr
  %function = inttoptr i64 %body to ptr
  %given = inttoptr i64 %arguments to ptr
  %memory = inttoptr i64 %place to ptr
  %status = call i32 %function(ptr %result, ptr %exception, ptr %given, ptr %memory, i64 %first, i64 %end)
  ret i32 %status
}}

define internal void @work(i64 %team, i64 %loop, i64 %place, i64 %threads) {{
{_at("ticket", _TICKET)}{_at("left", _LEFT)}{_at("body_at", _BODY)}{_at("arguments_at", _ARGUMENTS)}\
{_at("failed", _FAILED)}  %parts = mul i64 %threads, {_SHARE_OF_LEFT}
  br label %look
look:
  %word = load atomic i64, ptr %ticket seq_cst, align 8
  %of = lshr i64 %word, 32
  %is_same = icmp eq i64 %of, %loop
  %shifted = lshr i64 %word, 16
  %next = and i64 %shifted, 65535
  %n_blocks = and i64 %word, 65535
  %is_any = icmp ult i64 %next, %n_blocks
  %goes_on = and i1 %is_same, %is_any
  br i1 %goes_on, label %take, label %end
take:
  %waiting = sub i64 %n_blocks, %next
  %part = udiv i64 %waiting, %parts
  %count = call i64 @llvm.umax.i64(i64 %part, i64 1)
  %step = shl i64 %count, 16
  %later = add i64 %word, %step
  %pair = cmpxchg ptr %ticket, i64 %word, i64 %later seq_cst seq_cst
  %is_mine = extractvalue {{i64, i1}} %pair, 1
  br i1 %is_mine, label %compute, label %look
compute:
  %body = load i64, ptr %body_at
  %arguments = load i64, ptr %arguments_at
  %last = add i64 %next, %count
  %status = call i32 @run(i64 %body, i64 %arguments, i64 %place, i64 %next, i64 %last)
  %is_fine = icmp eq i32 %status, 0
  br i1 %is_fine, label %count_down, label %fail
fail:
  store atomic i64 1, ptr %failed seq_cst, align 8
  br label %count_down
count_down:
  %before = atomicrmw sub ptr %left, i64 %count seq_cst
  %was_last = icmp eq i64 %before, %count
  br i1 %was_last, label %done, label %look
done:
  call void @wake_leader(i64 %team)
  br label %end
end:
  ret void
}}

declare i64 @llvm.umax.i64(i64, i64)

define void @nutmill_help(i64 %pool, i64 %team) {{
  %place = alloca [{PLACE_BYTES} x i8], align 64
  %memory = ptrtoint ptr %place to i64
{_at("ticket", _TICKET)}{_at("over", _IS_OVER)}  %threads_word = add i64 %pool, {N_THREADS}
  %threads_at = inttoptr i64 %threads_word to ptr
  %threads = load i64, ptr %threads_at
  br label %wait
wait:
  %seen = phi i64 [0, %0], [%loop, %help]
  call void @await_work(i64 %team, i64 %seen)
  %word = load atomic i64, ptr %ticket seq_cst, align 8
  %loop = lshr i64 %word, 32
  %flag = load atomic i64, ptr %over seq_cst, align 8
  %is_over = icmp ne i64 %flag, 0
  br i1 %is_over, label %end, label %help
help:
  call void @work(i64 %team, i64 %loop, i64 %memory, i64 %threads)
  br label %wait
end:
  ret void
}}

define internal i64 @publish(i64 %team, i64 %n_blocks) {{
{_at("ticket", _TICKET)}  %word = load atomic i64, ptr %ticket seq_cst, align 8
  %before = lshr i64 %word, 32
  %after = add i64 %before, 1
  %loop = and i64 %after, 4294967295
  %high = shl i64 %loop, 32
  %new = or i64 %high, %n_blocks
  store atomic i64 %new, ptr %ticket seq_cst, align 8
  call void @wake_helpers(i64 %team)
  ret i64 %loop
}}

define i32 @nutmill_share(i64 %pool, i64 %body, i64 %arguments, i64 %place, i64 %n_blocks) {{
  %teams_word = add i64 %pool, {N_TEAMS}
  %teams_at = inttoptr i64 %teams_word to ptr
  %n_teams = load i64, ptr %teams_at
  %threads_word = add i64 %pool, {N_THREADS}
  %threads_at = inttoptr i64 %threads_word to ptr
  %threads = load i64, ptr %threads_at
  br label %look
look:
  %number = phi i64 [0, %0], [%further, %next]
  %is_one = icmp ult i64 %number, %n_teams
  br i1 %is_one, label %try, label %alone
try:
  %offset = mul i64 %number, {TEAM_BYTES}
  %beyond = add i64 %offset, {FIRST_TEAM}
  %team = add i64 %pool, %beyond
{_at("busy", _BUSY)}  %pair = cmpxchg ptr %busy, i64 0, i64 1 acq_rel monotonic
  %is_free = extractvalue {{i64, i1}} %pair, 1
  br i1 %is_free, label %lead, label %next
next:
  %further = add i64 %number, 1
  br label %look
alone:
  %status = call i32 @run(i64 %body, i64 %arguments, i64 %place, i64 0, i64 %n_blocks)
  ret i32 %status
lead:
{_at("body_at", _BODY)}{_at("arguments_at", _ARGUMENTS)}{_at("failed", _FAILED)}{_at("left", _LEFT)}\
  store i64 %body, ptr %body_at
  store i64 %arguments, ptr %arguments_at
  store atomic i64 0, ptr %failed seq_cst, align 8
  store atomic i64 %n_blocks, ptr %left seq_cst, align 8
  %loop = call i64 @publish(i64 %team, i64 %n_blocks)
  call void @work(i64 %team, i64 %loop, i64 %place, i64 %threads)
  call void @await_done(i64 %team, i64 0)
  %flag = load atomic i64, ptr %failed seq_cst, align 8
  store atomic i64 0, ptr %busy release, align 8
  %answer = trunc i64 %flag to i32
  ret i32 %answer
}}

define void @nutmill_gather(i64 %team) {{
{_at("mutex", _MUTEX)}{_at("work", _WORK)}{_at("done", _DONE)}  %a = call i32 @pthread_mutex_init(ptr %mutex, ptr null)
  %b = call i32 @pthread_cond_init(ptr %work, ptr null)
  %c = call i32 @pthread_cond_init(ptr %done, ptr null)
  ret void
}}

define void @nutmill_dismiss(i64 %team) {{
{_at("over", _IS_OVER)}  store atomic i64 1, ptr %over seq_cst, align 8
  %loop = call i64 @publish(i64 %team, i64 0)
  ret void
}}
"""


def team_code(triple: str) -> str:
    """Give the IR for processors of a target triple."""
    declared, pause = _PAUSE.get(triple.split("-")[0], ("", ""))
    return _TEXT.replace("<declared>", declared).replace("<pauses>", pause * _PAUSES)
