"""A queue with a great many tasks that have ended, made in Redis at once; and what a script asks of Redis."""

from typing import Any

from _yadtq.scripts import LUA, PARTS, READS
from tests.support.script_queue import ScriptQueue

AT_ONCE = 10_000
# ARGV: prefix of the epoch, first number, how many, instant of the end in milliseconds. Every third one has failed.
FILL = """
for n = tonumber(ARGV[2]), tonumber(ARGV[2]) + tonumber(ARGV[3]) - 1 do
  local id, order, status = string.format('%032x', n), string.format('%d', n), n % 3 == 0 and 'failed' or 'success'
  redis.call('HSET', ARGV[1] .. 'task:' .. id, 'status', status, 'task', n % 2 == 0 and 'add' or 'mul', 'args', '[1,2]',
             'kwargs', '{}', 'attempt', '1', 'worker_id', 'worker' .. n % 7, 'result', '3', 'submitted_at',
             '1755103784.123', 'started_at', '1755103784.456', 'finished_at', '1755103784.789', 'order', order,
             'submitted_by', 'c~1#1', 'mark', '1-1', 'claim', 'w~1 1-1')
  redis.call('ZADD', ARGV[1] .. 'all', order, id)
  redis.call('ZADD', ARGV[1] .. status, string.format('%d', ARGV[4] - n % 3600000), id)
end
"""
COUNTING = """
local counted, real = 0, redis
local redis = {call = function(...) counted = counted + 1; return real.call(...) end}
local function body()
%s
end
body()
return counted
"""


def fill(queue: ScriptQueue, count: int, first: int = 1) -> None:
    """Adds so many tasks, that ended within the last hour."""
    now = queue.redis.time()[0] * 1000
    for start in range(first, first + count, AT_ONCE):
        queue.redis.eval(FILL, 0, queue.key(""), start, min(AT_ONCE, first + count - start), now)


def commands(queue: ScriptQueue, name: str, *arguments: Any) -> int:
    """How many commands of Redis one call of a script runs."""
    parts = [(LUA / f"{part}.lua").read_text(encoding="utf-8") for part in (*PARTS.get(name, READS), name)]
    meta = f"{queue.prefix}meta"
    counted: int = queue.redis.eval(COUNTING % "\n".join(parts), 1, meta, *arguments, queue.redis.hget(meta, "run"))
    return counted
