-- What take, beat and settle share: a claim ends without an outcome, and its task goes back to the queue.

local returned = {}                              -- ids that are ready again, in the order of their claims

local function return_to_ready()                 -- first: they were taken before all that wait there
  for i = #returned, 1, -1 do redis.call('LPUSH', E .. 'ready', returned[i]) end
  returned = {}
end

-- Ends the attempt of a task in `processing`, and puts the task back, to be returned to ready or delayed.
-- how.action   retry · crash · reclaim · release
-- how.lost     nobody holds the claim any more: whoever settles it still is refused
-- how.begun    whether its handler was started: then the attempt goes into the history, else it never was; of what a
--              lost worker held nobody knows that for certain, so a reclaim is always an attempt
-- how.reason   for a person
-- how.due      for a retry: milliseconds until it may start
-- how.error    for a retry: JSON of the failure
-- how.started, how.finished   instants, when they are known
local function put_back(id, key, how, worker)
  local rec = redis.call('HMGET', key, 'attempt', 'failures', 'crashes', 'claim', 'started_at', 'history', 'worker_id')
  local attempt, failures, crashes = tonumber(rec[1]), tonumber(rec[2] or 0), tonumber(rec[3] or 0)
  redis.call('ZREM', E .. 'processing', id)
  local fields = {'status', 'queued'}
  local function set(field, value) fields[#fields + 1] = field; fields[#fields + 1] = value end
  if how.lost then set('claim', '') else set('settled', rec[4]) end
  if how.begun or how.action == 'reclaim' then    -- a lost worker may have begun more than it could tell
    set('history', remember(rec[6], {n = attempt, w = rec[7], s = how.started or rec[5], f = how.finished or at,
                                     o = how.action, r = how.reason}))
  else
    set('attempt', string.format('%d', attempt - 1))
  end
  if how.action == 'retry' then set('failures', string.format('%d', failures + 1)) end
  if how.crash then set('crashes', string.format('%d', crashes + 1)) end
  if how.error then set('error', how.error) end
  if how.due then set('retry_at', instant(now + how.due)) end
  redis.call('HSET', key, unpack(fields))
  redis.call('HDEL', key, 'worker_id', 'started_at')
  note(how.action, id, {attempt = attempt, worker = worker, reason = how.reason, begun = how.begun or false,
                        error = how.error, retry_at = how.due and instant(now + how.due) or nil})
  if how.due then
    redis.call('ZADD', E .. 'delayed', string.format('%d', now + how.due), id)
  else
    returned[#returned + 1] = id
  end
end

local function forget(id)                        -- an id without a record would be in the way for ever
  for _, index in ipairs({'all', 'processing'}) do redis.call('ZREM', E .. index, id) end
end

-- Ends a task for good because its process or worker died too often. lost: see above.
local function give_up(id, key, crashes, reason, worker, lost)
  local rec = redis.call('HMGET', key, 'attempt', 'waiters', 'claim')
  local failure = cjson.encode({type = 'TooManyCrashes', traceback = '',
    message = string.format('%s; it crashed %d times, and is not started again', reason, crashes)})
  redis.call('HSET', key, 'status', 'failed', 'error', failure, 'crashes', string.format('%d', crashes),
             'finished_at', at, 'claim', lost and '' or rec[3])
  redis.call('HDEL', key, 'waiters')
  redis.call('ZREM', E .. 'processing', id)
  redis.call('ZADD', E .. 'failed', string.format('%d', now), id)
  note('failed', id, {attempt = tonumber(rec[1]), worker = worker, error = failure})
  tell(rec[2], id)
end

-- One bounded step over all tasks in `processing`: what belongs to a lapsed worker is put back; a worker without a
-- lease gets one of full length (a missing lease is not a lapsed one: its owner may live, and can't renew it).
-- When one whole round has passed since a lease lapsed, nothing of that worker is left, and the lease goes.
-- Returns how many tasks became ready.
local function sweep(clock, lease_ms, max_crashes, limit)
  local state = redis.call('HMGET', KEYS[1], 'sweep_cursor', 'sweep_for')
  local cursor, target = state[1] or '0', state[2] or ''
  if target == '' then
    target = redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', string.format('%d', clock), 'LIMIT', 0, 1)[1] or ''
    if target ~= '' then cursor = '0' end
  end
  local rows = redis.call('ZRANGEBYSCORE', E .. 'processing', '(' .. cursor, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
  local leases, begun_by = {}, {}
  for i = 1, #rows, 2 do
    local id, key = rows[i], E .. 'task:' .. rows[i]
    cursor = rows[i + 1]
    local rec = redis.call('HMGET', key, 'claim', 'crashes')
    local owner, claim = string.match(rec[1] or '', '^(.*) (.-)$')
    if not owner then                              -- its record was deleted or damaged by hand
      forget(id)
    elseif leases[owner] == nil then
      leases[owner] = redis.call('ZSCORE', P .. 'leases', owner) or lease_in_grace(owner, clock, lease_ms)
    end
    if owner and tonumber(leases[owner]) <= clock then
      if not begun_by[owner] then
        local told = redis.call('HMGET', P .. 'worker:' .. owner, 'running', 'given', 'slots')
        local begun, n = {}, 0
        for word in string.gmatch(told[1] or '', '[^\n]+') do begun[word] = true end
        for word in string.gmatch(told[2] or '', '[^\n]+') do      -- the newest claims, before any report: the first ones
          n = n + 1
          if n <= tonumber(told[3] or 1) then begun[word] = true end
        end
        begun_by[owner] = begun
      end
      local begun = begun_by[owner][id .. '@' .. claim] or false
      local crashes = tonumber(rec[2] or 0) + (begun and 1 or 0)
      local reason = 'worker ' .. plain(owner) .. ' was not heard of for ' .. math.floor(lease_ms / 1000) .. ' s'
      if begun and crashes >= max_crashes then
        give_up(id, key, crashes, reason, owner, true)
      else
        put_back(id, key, {action = 'reclaim', lost = true, crash = begun, begun = begun, reason = reason}, owner)
      end
    end
  end
  if #rows < limit * 2 then
    cursor = '0'
    if target ~= '' then
      redis.call('ZREM', P .. 'leases', target)
      redis.call('SREM', P .. 'idle', target)
      if redis.call('EXISTS', P .. 'worker:' .. target) == 1 then
        redis.call('HSET', P .. 'worker:' .. target, 'state', 'offline')
      end
      target = ''
    end
  end
  redis.call('HSET', KEYS[1], 'sweep_cursor', cursor, 'sweep_for', target)
  local became_ready = #returned
  return_to_ready()
  return became_ready
end
