-- take: admit what this worker has read from Kafka, then hand it up to N tasks that are ready. The heart.
--
-- ARGV[1] -> incarnation            ARGV[2] -> number of this take, rising
-- ARGV[3] -> number of the last take whose reply was read
-- ARGV[4] -> free slots N           ARGV[5] -> lease, milliseconds
-- ARGV[6] -> crashes that end a task
-- ARGV[7] -> bound of the outbox    ARGV[8] -> bound of ready, tasks    ARGV[9] -> bound of ready, bytes
-- ARGV[10] -> claims begun and not ended: id@token, a line each
-- ARGV[11] -> number of reads; then for each: partition, offset where it began ('first:' before it, when the
--             partition's log begins there), next offset, number of messages,
--             and for each message: offset, kind, bytes, and
--               kind 'ours':  id, epoch, generation, seq     our header: its record was registered
--               kind 'task':  id, task, args, kwargs, max_retries ('' none), time_limit ('' none)     of another producer
--               kind 'bad':   value (base64), reason
--
-- A repeated take (same number) admits nothing twice, and gives again what the first one gave. A lower number is
-- refused. When the reply of the take before was never read, what it gave goes back: nobody holds it (rule takenum).
--
-- Returns {'ok', epoch, token, milliseconds until the next delayed task ('' none), tasks left in ready,
--          {partition, word, expected offset ('': where the log begins), …}, {task, …}}
--   word  admitted · seek (the reader is not where the queue is) · full (read it again later)
--   task  {id, task, args, kwargs, attempt, failures, crashes, max_retries, time_limit, token}

local me, number, seen = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local free, lease_ms, max_crashes = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local worker_key = P .. 'worker:' .. me
local clock = lease_clock()
if not holds_lease(me, clock) then return {'lapsed'} end
local told = redis.call('HMGET', worker_key, 'take', 'given')
local last = tonumber(told[1] or 0)
if number < last then return {'stale'} end
if outbox_full(ARGV[7]) then return {'full'} end

local function claimed_by_me(line)               -- 'id@token' -> id, key, when the claim still stands
  local id, claim = string.match(line, '^(.*)@(.-)$')
  local key = E .. 'task:' .. id
  local rec = redis.call('HMGET', key, 'status', 'claim')
  if rec[1] == 'processing' and rec[2] == me .. ' ' .. claim then return id, key, claim end
end

local function description(id, key, claim)
  local rec = redis.call('HMGET', key, 'task', 'args', 'kwargs', 'attempt', 'failures', 'crashes', 'max_retries', 'time_limit')
  return {id, rec[1], rec[2], rec[3], rec[4], rec[5] or '0', rec[6] or '0', rec[7] or '', rec[8] or '', claim}
end

local answers, given, tasks = {}, {}, {}
local admitted, positions, word = {}, nil, ''
local bytes = tonumber(redis.call('HGET', E .. 'load', 'bytes') or 0)     -- of ready, an estimate
if redis.call('LLEN', E .. 'ready') == 0 then bytes = 0 end
local repeated = number == last
for line in string.gmatch(told[2] or '', '[^\n]+') do
  local id, key, claim = nil, nil, nil
  if repeated or seen < last then id, key, claim = claimed_by_me(line) end
  if id and repeated then
    tasks[#tasks + 1], given[#given + 1] = description(id, key, claim), line
  elseif id then
    put_back(id, key, {action = 'release', lost = true, reason = 'the reply that gave it was lost'}, me)
  end
end
return_to_ready()

-- Admission ------------------------------------------------------------------------------------------------------------

local function reject(id, reason, bytes, more)
  local key = E .. 'task:' .. id
  if redis.call('EXISTS', key) == 1 then return end
  local order = string.format('%d', redis.call('HINCRBY', KEYS[1], 'order', 1))
  local failure = cjson.encode({type = 'MessageRejected', message = reason, traceback = ''})
  redis.call('HSET', key, 'status', 'rejected', 'task', more.task or '', 'args', more.args or '[]',
             'kwargs', more.kwargs or '{}', 'error', failure, 'message', bytes, 'submitted_at', at, 'finished_at', at, 'order', order)
  redis.call('ZADD', E .. 'all', order, id)
  redis.call('ZADD', E .. 'rejected', string.format('%d', now), id)
  note('reject', id, {error = failure, message = bytes})
end

-- A message of another producer: a new task, the same one again, or another one under a known id.
local function admit_foreign(partition, m)
  local floor = redis.call('HGET', P .. 'floors', partition)
  if floor and tonumber(m.offset) < tonumber(floor) then return end
  local key = E .. 'task:' .. m.id
  local rec = redis.call('HMGET', key, 'status', 'task', 'args', 'kwargs')
  if rec[1] and rec[1] ~= 'withdrawn' then
    if rec[2] ~= m.task or rec[3] ~= m.args or rec[4] ~= m.kwargs then
      reject('rejected-' .. partition .. '-' .. m.offset, 'the id ' .. m.id .. ' belongs to another task',
             '', {task = m.task, args = m.args, kwargs = m.kwargs})
    else                                         -- its producer was acknowledged too: nobody can withdraw it any more
      redis.call('HSET', key, 'shared', '1')
      return redis.call('ZREM', E .. 'registered', m.id) == 1
    end
    return
  end
  local order = string.format('%d', redis.call('HINCRBY', KEYS[1], 'order', 1))
  redis.call('DEL', key)
  redis.call('HSET', key, 'status', 'queued', 'task', m.task, 'args', m.args, 'kwargs', m.kwargs, 'submitted_at', at,
             'submitted_by', 'kafka', 'order', order)
  if m.max_retries ~= '' then redis.call('HSET', key, 'max_retries', m.max_retries) end
  if m.time_limit ~= '' then redis.call('HSET', key, 'time_limit', m.time_limit) end
  redis.call('ZADD', E .. 'all', order, m.id)
  note('admit', m.id, {task = m.task, args = m.args, kwargs = m.kwargs, partition = tonumber(partition),
                       offset = tonumber(m.offset)})
  return true
end

local cursor = 12                                -- the next argument
local function argument()
  cursor = cursor + 1
  return ARGV[cursor - 1]
end

local function admit(partition, stored)
  local m = {offset = argument(), kind = argument(), bytes = tonumber(argument())}
  local word = word                              -- what lies below the position was read before (rule offset)
  if stored and tonumber(m.offset) < tonumber(stored) then word = 'known' end
  local into_ready
  if m.kind == 'bad' then
    local value, reason = argument(), argument()
    if word == 'admitted' then reject('rejected-' .. partition .. '-' .. m.offset, reason, value, {}) end
  elseif m.kind == 'task' then
    m.id, m.task, m.args, m.kwargs = argument(), argument(), argument(), argument()
    m.max_retries, m.time_limit = argument(), argument()
    into_ready = word == 'admitted' and admit_foreign(partition, m)
  else                                           -- our header: it never creates a record (rule mark)
    m.id, m.epoch = argument(), argument()
    cursor = cursor + 2
    into_ready = word == 'admitted' and m.epoch == epoch and redis.call('ZREM', E .. 'registered', m.id) == 1
  end
  if into_ready then
    redis.call('RPUSH', E .. 'ready', m.id)
    admitted[#admitted + 1], bytes = m.id, bytes + m.bytes
  end
end

for _ = 1, tonumber(ARGV[11]) do
  local partition, began, next_offset, count = argument(), argument(), argument(), tonumber(argument())
  local stored = redis.call('HGET', P .. 'positions', partition)
  local first = string.match(began, '^first:(%d+)$')
  word = 'admitted'
  if count > 0 and (redis.call('LLEN', E .. 'ready') >= tonumber(ARGV[8]) or bytes >= tonumber(ARGV[9])) then
    word = 'full'
  elseif stored and stored ~= (first or began) or not stored and not first then
    word = 'seek'
  end
  for _ = 1, count do admit(partition, stored) end
  if word == 'admitted' and (not stored or tonumber(stored) < tonumber(next_offset)) then
    redis.call('HSET', P .. 'positions', partition, next_offset)
    positions = positions or {}
    positions[partition], stored = tonumber(next_offset), next_offset
  end
  answers[#answers + 1], answers[#answers + 2], answers[#answers + 3] = partition, word, stored or ''
end

-- What has become ready by time, or by the death of its worker ------------------------------------------------------------

for _, id in ipairs(redis.call('ZRANGEBYSCORE', E .. 'delayed', '-inf', string.format('%d', now), 'LIMIT', 0, 100)) do
  redis.call('ZREM', E .. 'delayed', id)
  redis.call('HDEL', E .. 'task:' .. id, 'retry_at')
  redis.call('RPUSH', E .. 'ready', id)
end
if redis.call('ZCOUNT', P .. 'leases', '-inf', string.format('%d', clock)) > 0 then
  sweep(clock, lease_ms, max_crashes, 100)
end

-- Hand out -------------------------------------------------------------------------------------------------------------

if not repeated and free > 0 then
  local claim = me .. ' ' .. token
  local size = 0                                 -- of the reply, in bytes of arguments
  for _, id in ipairs(redis.call('LPOP', E .. 'ready', free) or {}) do
    local n, key = #tasks + 1, E .. 'task:' .. id
    local task = description(id, key, token)
    if size >= 4000000 then
      returned[#returned + 1] = id
    elseif task[2] and task[3] and task[4] then
      size = size + #task[3] + #task[4]
      task[5] = string.format('%d', tonumber(task[5] or 0) + 1)
      redis.call('HSET', key, 'status', 'processing', 'worker_id', plain(me), 'claim', claim, 'attempt', task[5],
                 'started_at', at)
      redis.call('ZADD', E .. 'processing', string.format('%d', (seq + 1) * 1000 + n), id)
      tasks[n], given[n] = task, id .. '@' .. token
      note('take', id, {attempt = tonumber(task[5]), worker = me})
    else
      forget(id)
    end
  end
  return_to_ready()
end
redis.call('HSET', worker_key, 'take', ARGV[2], 'given', table.concat(given, '\n'), 'running', ARGV[10])

local left = redis.call('LLEN', E .. 'ready')
if positions or #tasks > 0 then
  bytes = left == 0 and 0 or math.floor(bytes * left / (left + #tasks))
  redis.call('HSET', E .. 'load', 'bytes', string.format('%d', bytes))
end
if #tasks < free and not repeated then redis.call('SADD', P .. 'idle', me) else redis.call('SREM', P .. 'idle', me) end
wake(left)
commit('take', me, positions and {admitted = #admitted > 0 and admitted or nil, positions = positions})
local due = redis.call('ZRANGE', E .. 'delayed', 0, 0, 'WITHSCORES')[2]
return {'ok', epoch, token, due and string.format('%d', math.max(0, tonumber(due) - now)) or '', left, answers, tasks}
