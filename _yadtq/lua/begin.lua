-- begin: someone begins to lead Redis back after a restart, or to found a queue in an empty one. One at a time.
-- It runs without the prelude: before it there may be no queue.
--
-- KEYS[1] -> {namespace}:meta
-- ARGV[1] -> protocol of the caller   ARGV[2] -> who leads
-- ARGV[3] -> for how long nobody else may begin, milliseconds
-- ARGV[4] -> 'new' when an empty Redis is to be begun, else ''   ARGV[5] -> the new generation is at least this
-- ARGV[6] -> run id of the server
--
-- Returns {'ok', 'open'} (nothing to do), {'ok', 'led'} (by another one), or
-- {'ok', 'begun', attempt, run id, new generation, the one before, seq that Redis has kept, offset in the event log};
-- or {'missing'}, {'newer'}

local head = redis.call('HMGET', KEYS[1], 'protocol', 'generation', 'run', 'attempt', 'attempt_by', 'attempt_run',
                        'attempt_until', 'proposed', 'seq', 'kept', 'events_offset')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if head[1] and tonumber(head[1]) > tonumber(ARGV[1]) then return {'newer', head[1]} end
if not head[2] then
  if ARGV[4] == '' then return {'missing'} end
  redis.call('HSET', KEYS[1], 'protocol', ARGV[1], 'generation', '0', 'epoch', '0', 'seq', '0', 'order', '0', 'clock', '0',
             'clock_at', string.format('%d', now))
end
if head[3] == ARGV[6] then return {'ok', 'open'} end
if head[6] == ARGV[6] and head[5] ~= ARGV[2] and tonumber(head[7] or 0) > now then return {'ok', 'led'} end

local attempt = tonumber(head[4] or 0) + 1
-- A new queue's first generation is the time, so that it is not one of another queue. From then on they are counted: a
-- clock that steps back would let the marker of an attempt that was given up come late, and be the newer one.
local first = (head[2] or '0') == '0' and now or 0
local generation = math.max(first, tonumber(head[2] or 0) + 1, tonumber(head[8] or 0) + 1, tonumber(ARGV[5]))
-- What an earlier leader has applied, Redis had not kept, also when it was restarted since: open forgets the number.
local kept = head[10] or head[9] or '0'
redis.call('HSET', KEYS[1], 'attempt', string.format('%d', attempt), 'attempt_by', ARGV[2], 'attempt_run', ARGV[6],
           'attempt_until', string.format('%d', now + tonumber(ARGV[3])), 'proposed', string.format('%d', generation),
           'kept', kept)
return {'ok', 'begun', string.format('%d', attempt), ARGV[6], string.format('%d', generation), head[2] or '0', kept,
        head[11] or ''}
