-- take: admit what this worker has read from Kafka, then hand it up to N tasks that are ready. The heart.
--
-- ARGV[1] -> incarnation            ARGV[2] -> number of this take, rising
-- ARGV[3] -> number of the last take whose reply was read
-- ARGV[4] -> free slots N           ARGV[5] -> lease, milliseconds
-- ARGV[6] -> crashes that end a task
-- ARGV[7] -> bound of the outbox    ARGV[8] -> bound of ready, tasks    ARGV[9] -> bound of ready, bytes
-- ARGV[10] -> claims begun and not ended: id@token, a line each
-- ARGV[11] -> edition of the topic that the reads are of
-- ARGV[12] -> number of reads; then for each: partition, offset where it began ('first:' before it, when the
--             partition's log begins there), next offset, number of its parts, and for each part: kind, bytes, and
--               kind 'ours':  epoch, generation, seq, number of ids, ids     messages with this header of ours, one behind
--                             the other: their records were registered
--               kind 'whole': offset, epoch, generation, seq, then as 'task' from its id on: a message of ours, asked for
--                             when Redis has forgotten the record
--               kind 'task':  offset, id, task, args, kwargs, max_retries ('' none), time_limit ('' none)     a message of
--                             another producer
--               kind 'bad':   offset, value (base64), reason
--
-- A repeated take (same number) admits nothing twice, and gives again what the first one gave. A lower number is
-- refused. When the reply of the take before was never read, what it gave goes back: nobody holds it (rule takenum).
--
-- Returns {'ok', epoch, token, milliseconds until the next delayed task ('' none), tasks left in ready,
--          {partition, word, expected offset ('': where the log begins), …}, {task, …}}
--   word  admitted · seek (the reader is not where the queue is) · full (hand it in again later)
--         whole (hand it in again at once, with the contents of our own messages)
--         moved (it is of a topic, or of a part of one, that is not read any more)
--   task  {id, task, args, kwargs, attempt}, and, where one of them is not plain: failures ('' none), crashes ('' none),
--         max_retries ('' the worker's), time_limit ('' the worker's), token (else that of this call)

if quarantine then return {'quarantine'} end
local me, number, seen = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local free, lease_ms, max_crashes = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local worker_key = P .. 'worker:' .. me
local clock = lease_clock()
if not holds_lease(me, clock) then return {'lapsed'} end
local told = redis.call('HMGET', worker_key, 'take', 'given', 'joining')
if not told[1] then return {'lapsed'} end        -- deleted by hand: what it was given last is not known any more
local last = tonumber(told[1])
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
  if not rec[5] and not rec[6] and not rec[7] and not rec[8] and claim == token then
    return {id, rec[1], rec[2], rec[3], rec[4]}
  end
  return {id, rec[1], rec[2], rec[3], rec[4], rec[5] or '', rec[6] or '', rec[7] or '', rec[8] or '', claim}
end

local answers, given, tasks = {}, {}, {}
local admitted, positions = {}, nil
local bytes = tonumber(redis.call('HGET', E .. 'load', 'bytes') or 0)     -- of ready, an estimate
local waiting = redis.call('LLEN', E .. 'ready')
if waiting == 0 then bytes = 0 end
local repeated = number == last
for line in string.gmatch(told[2] or '', '[^\n]+') do
  local id, key, claim = nil, nil, nil
  if repeated or seen < last then id, key, claim = claimed_by_me(line) end
  if id and repeated then
    tasks[#tasks + 1], given[#given + 1] = description(id, key, claim), line
  elseif id then
    transition({action = 'release', id = id, attempt = tonumber(redis.call('HGET', key, 'attempt')), worker = me,
                lost = true, begun = false, reason = 'the reply that gave it was lost'})
  end
end

-- Admission ------------------------------------------------------------------------------------------------------------

local function next_order()
  return string.format('%d', redis.call('HINCRBY', KEYS[1], 'order', 1))
end

local function reject(id, reason, bytes, more)
  local key, failure = E .. 'task:' .. id, cjson.encode({type = 'MessageRejected', message = reason, traceback = ''})
  local known = redis.call('HMGET', key, 'message', 'error')
  if known[2] then                               -- read again, or the topic was made anew and another one has the place
    if ARGV[11] == '' or known[1] == bytes and known[2] == failure then return end
    id = id .. '-' .. ARGV[11]
    if redis.call('EXISTS', E .. 'task:' .. id) == 1 then return end
  end
  transition({action = 'reject', id = id, task = more.task, args = more.args, kwargs = more.kwargs, order = next_order(),
              error = failure, message = bytes})
end

local function create(partition, m, mark)
  transition({action = 'admit', id = m.id, task = m.task, args = m.args, kwargs = m.kwargs, order = next_order(),
              partition = tonumber(partition), offset = tonumber(m.offset), mark = mark,
              max_retries = m.max_retries ~= '' and m.max_retries or nil,
              time_limit = m.time_limit ~= '' and m.time_limit or nil})
  return true
end

local function was_registered(id)                -- and is not any more
  if not indexed('registered', id) then return false end
  index('registered', id)
  return true
end

-- A message of another producer: a new task, the same one again, or another one under a known id.
local function admit_foreign(partition, m)
  local floor = redis.call('HGET', P .. 'floors', partition)
  if floor and tonumber(m.offset) < tonumber(floor) then return end
  local rec = redis.call('HMGET', E .. 'task:' .. m.id, 'status', 'task', 'args', 'kwargs', 'shared')
  if not rec[1] or rec[1] == 'withdrawn' then return create(partition, m) end
  if rec[2] ~= m.task or rec[3] ~= m.args or rec[4] ~= m.kwargs then
    reject('rejected-' .. partition .. '-' .. m.offset, 'the id ' .. m.id .. ' belongs to another task',
           '', {task = m.task, args = m.args, kwargs = m.kwargs})
  else                                           -- its producer was acknowledged too: nobody can withdraw it any more
    if not rec[5] then transition({action = 'share', id = m.id}) end
    return was_registered(m.id)
  end
end

-- Whether a registration with this number was forgotten, and its id is free. ranges: 'last first-last …'. Behind the
-- last number that is known, a tombstone is of an earlier submission; in a gap before it, it may be its own.
local function free_for(number, ranges, status)
  local last, gaps = string.match(ranges, '^(%d+)(.*)$')
  if number > tonumber(last) then return not status or status == 'withdrawn' end
  for from, to in string.gmatch(gaps, '(%d+)%-(%d+)') do
    if number >= tonumber(from) and number <= tonumber(to) then return not status end
  end
end

-- Whether Redis came back without the registration that a message of ours follows, and no reset came after it.
local function was_forgotten(m, id)
  local its, reset_in = tonumber(m.generation), tonumber(redis.call('HGET', KEYS[1], 'reset_in') or 0)
  if its >= tonumber(generation) or its < reset_in then return false end
  if its == reset_in and tonumber(m.epoch) < tonumber(epoch) then return false end
  local status = redis.call('HGET', E .. 'task:' .. id, 'status')
  if status and status ~= 'withdrawn' then return false end
  if its < tonumber(redis.call('HGET', P .. 'generations', 'oldest') or 0) then return false end
  local led_back = redis.call('HGETALL', P .. 'generations')
  for i = 1, #led_back, 2 do
    if (tonumber(led_back[i]) or 0) > its and free_for(tonumber(m.seq), led_back[i + 1], status) then return true end
  end
  return false
end

local cursor = 13                                -- the next argument
local function argument()
  cursor = cursor + 1
  return ARGV[cursor - 1]
end

local function contents(m)
  m.task, m.args, m.kwargs, m.max_retries, m.time_limit = argument(), argument(), argument(), argument(), argument()
end

local function part()                            -- the next one of the arguments
  local m = {kind = argument(), bytes = tonumber(argument())}
  if m.kind ~= 'ours' then m.offset = argument() end
  if m.kind == 'bad' then
    m.value, m.reason = argument(), argument()
    return m
  end
  if m.kind ~= 'task' then m.epoch, m.generation, m.seq = argument(), argument(), argument() end
  if m.kind == 'ours' then
    local count = tonumber(argument())
    m.first, m.last, cursor = cursor, cursor + count - 1, cursor + count      -- of its ids, among the arguments
  else
    m.id = argument()
    contents(m)
  end
  return m
end

local readied = {}                               -- ids that are ready now, behind all others

local function append_to_ready(id, size)
  readied[#readied + 1], admitted[#admitted + 1], bytes = id, id, bytes + size
end

local function admit(partition, m)
  local into_ready
  if m.kind == 'bad' then
    reject('rejected-' .. partition .. '-' .. m.offset, m.reason, m.value, {})
  elseif m.kind == 'task' then
    into_ready = admit_foreign(partition, m)
  elseif was_forgotten(m, m.id) then
    into_ready = create(partition, m, m.generation .. '-' .. m.seq)
  else
    into_ready = m.epoch == epoch and was_registered(m.id)
  end
  if into_ready then append_to_ready(m.id, m.bytes) end
end

local function admit_ours(m)                     -- our header never creates a record (rule mark)
  if m.epoch ~= epoch then return end
  local size = m.bytes / (m.last - m.first + 1)
  for first = m.first, m.last, 500 do
    local last = math.min(first + 499, m.last)
    look_up('registered', first, last)
    for i = first, last do
      if was_registered(ARGV[i]) then append_to_ready(ARGV[i], size) end
    end
  end
end

local function some_were_forgotten(m)
  if m.kind ~= 'ours' or m.generation == generation then return false end
  for i = m.first, m.last do
    if was_forgotten(m, ARGV[i]) then return true end
  end
end

-- Redis came back without a position, and the event log knows that this message of another producer was read before.
local some_reread = redis.call('EXISTS', P .. 'reread') == 1
local function was_read(partition, m)
  return some_reread and m.kind == 'task' and redis.call('HDEL', P .. 'reread', partition .. ':' .. m.offset) == 1
end

local is_moved = ARGV[11] ~= (redis.call('HGET', KEYS[1], 'edition') or '')
for _ = 1, tonumber(ARGV[12]) do
  local partition, began, next_offset, count = argument(), argument(), argument(), tonumber(argument())
  local stored = redis.call('HGET', P .. 'positions', partition)
  local first = string.match(began, '^first:(%d+)$')
  local word = 'admitted'
  if is_moved then
    word = 'moved'
  elseif count > 0 and (waiting + #readied >= tonumber(ARGV[8]) or bytes >= tonumber(ARGV[9])) then
    word = 'full'
  elseif stored and stored ~= (first or began) or not stored and not first then
    word = 'seek'
  end
  local parts = {}
  for i = 1, count do
    parts[i] = part()
    if word == 'admitted' and some_were_forgotten(parts[i]) then word = 'whole' end
  end
  for _, m in ipairs(word == 'admitted' and parts or {}) do          -- below the position: read before (rule offset)
    if m.kind == 'ours' then
      admit_ours(m)
    elseif (not stored or tonumber(m.offset) >= tonumber(stored)) and not was_read(partition, m) then
      admit(partition, m)
    end
  end
  if word == 'admitted' and (not stored or tonumber(stored) < tonumber(next_offset)) then
    redis.call('HSET', P .. 'positions', partition, next_offset)
    positions = positions or {}
    positions[partition], stored = tonumber(next_offset), next_offset
  end
  answers[#answers + 1], answers[#answers + 2], answers[#answers + 3] = partition, word, stored or ''
end

in_steps('RPUSH', E .. 'ready', readied)

-- What has become ready by time, or by the death of its worker ------------------------------------------------------------

for _, id in ipairs(redis.call('ZRANGEBYSCORE', E .. 'delayed', '-inf', string.format('%d', now), 'LIMIT', 0, 100)) do
  redis.call('ZREM', E .. 'delayed', id)
  redis.call('HDEL', E .. 'task:' .. id, 'retry_at')
  redis.call('RPUSH', E .. 'ready', id)
end
if redis.call('ZCOUNT', P .. 'leases', '-inf', string.format('%d', clock)) > 0 then
  sweep(clock, lease_ms, max_crashes, 100)
end
return_to_ready()                                -- all at once: apply knows no other order

-- Hand out -------------------------------------------------------------------------------------------------------------

local joining = told[3]                          -- its join is not yet in the event log (rule joinwait)
if not repeated and not joining and free > 0 then
  local size = 0                                 -- of the reply, in bytes of arguments
  for _, id in ipairs(redis.call('LPOP', E .. 'ready', free) or {}) do
    local n, key = #tasks + 1, E .. 'task:' .. id
    local task = description(id, key, token)
    if size >= 4000000 then
      returned[#returned + 1] = id
    elseif task[2] and task[3] and task[4] then
      size = size + #task[3] + #task[4]
      local attempt = math.max(tonumber(task[5] or 0), tonumber(forgotten_attempt(id) or 0)) + 1
      task[5] = string.format('%d', attempt)
      transition({action = 'take', id = id, attempt = attempt, worker = me})
      tasks[n], given[n] = task, id .. '@' .. token
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
local idle = #tasks < free and not repeated and not joining
redis.call(idle and 'SADD' or 'SREM', P .. 'idle', me)
wake(left)
commit('take', me, with_lapsed(positions and {admitted = #admitted > 0 and admitted or nil, positions = positions}))
local due = redis.call('ZRANGE', E .. 'delayed', 0, 0, 'WITHSCORES')[2]     -- after commit, which wrote the indexes
return {'ok', epoch, token, due and string.format('%d', math.max(0, tonumber(due) - now)) or '', left, answers, tasks}
