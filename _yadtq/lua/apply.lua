-- apply: events that Redis has forgotten happen again, in their order (rule forward).
--
-- ARGV[1], ARGV[2], ARGV[3] -> (see leading)
-- ARGV[4] -> 'keep' when the readers' positions stay where Redis has them: events are missing, and what was read in
--            between is read again; else ''
-- ARGV[5] -> number of events; then for each: token, JSON
--
-- Returns {'ok', seq}   those up to seq have happened

local function unqueue(id)                       -- wherever it waited
  if redis.call('LREM', E .. 'ready', 1, id) == 1 then return end
  redis.call('ZREM', E .. 'registered', id)
  if redis.call('ZREM', E .. 'delayed', id) == 1 then redis.call('HDEL', E .. 'task:' .. id, 'retry_at') end
end

-- A message of another producer that is read again, because positions stay behind: its task is known from the log.
local function note_read(e)
  if ARGV[4] ~= '' and e.action == 'admit' and e.offset then
    redis.call('HSET', P .. 'reread', e.partition .. ':' .. e.offset, '1')
  end
end

-- The event of a reset is missing, and the log tells of what came after it.
local function make_good_reset(new_epoch, made)
  for old = tonumber(redis.call('HGET', KEYS[1], 'epoch')), new_epoch - 1 do
    redis.call('RPUSH', P .. 'old', string.format('%d', old))
  end
  redis.call('HSET', KEYS[1], 'epoch', string.format('%d', new_epoch), 'reset_in', string.match(made, '^%d+'),
             'sweep_cursor', '0', 'sweep_for', '')
end

local happen = {reset = make_reset}

function happen.join(event)                      -- it lives until its lease has lapsed, which begins anew
  local worker, clock = event.actor, tonumber(redis.call('HGET', KEYS[1], 'clock'))
  redis.call('ZADD', P .. 'leases', string.format('%d', clock + event.lease), worker)
  redis.call('ZADD', P .. 'workers', string.format('%d', now), worker)
  redis.call('HSET', P .. 'worker:' .. worker, 'state', 'online', 'last_seen', at, 'started_at', at, 'take', '0',
             'lease', string.format('%d', event.lease))
  redis.call('PEXPIRE', P .. 'worker:' .. worker, math.max(86400000, event.lease * 2))
end

function happen.reposition(event)
  make_reposition(event, ARGV[4] == 'keep')
end

function happen.leave(event)
  redis.call('ZREM', P .. 'leases', event.actor)
  redis.call('HSET', P .. 'worker:' .. event.actor, 'state', 'offline', 'last_seen', at)
end

-- What only a claimed task goes through: its take may be one of the events that are missing.
local claimed = {take = 1, success = 1, failed = 1, retry = 1, crash = 1, reclaim = 1, release = 1}

local function apply(event)
  for _, e in ipairs(event.tasks or {}) do
    if e.order then redis.call('HSET', KEYS[1], 'order', e.order) end
    if e.action == 'take' then return_to_ready() end       -- it may have come back in the same call
    if claimed[e.action] and redis.call('HGET', E .. 'task:' .. e.id, 'status') == 'queued' then unqueue(e.id) end
    if e.action ~= 'take' or redis.call('EXISTS', E .. 'task:' .. e.id) == 1 then transition(e) end
    write_indexes()                              -- unqueue reads them, and the next event may be of another epoch
    note_read(e)
  end
  return_to_ready()
  for _, id in ipairs(event.admitted or {}) do
    if not make_ready(id) and redis.call('HGET', E .. 'task:' .. id, 'status') == 'queued' then
      redis.call('RPUSH', E .. 'ready', id)      -- a message of another producer
    end
  end
  write_indexes()
  if ARGV[4] == '' then
    for partition, position in pairs(event.positions or {}) do
      redis.call('HSET', P .. 'positions', partition, string.format('%d', position))
    end
  end
  if happen[event.action] then happen[event.action](event) end
  if event.lapsed then make_lapse(event.lapsed) end
end

for a = 6, 4 + 2 * tonumber(ARGV[5]), 2 do
  local event = cjson.decode(ARGV[a + 1])
  if event.seq > seq then
    if event.epoch > tonumber(redis.call('HGET', KEYS[1], 'epoch')) then make_good_reset(event.epoch, ARGV[a]) end
    epoch, token, at, now, claims = string.format('%d', event.epoch), ARGV[a], event.at, milliseconds(event.at), 0
    E, seq = P .. epoch .. ':', event.seq - 1    -- as they were for the call that it tells of
    generation = string.match(token, '^%d+')
    apply(event)
    seq = event.seq
    redis.call('HSET', KEYS[1], 'seq', string.format('%d', seq))
  end
end
return {'ok', string.format('%d', seq)}
