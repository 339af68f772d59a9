-- What take, beat, coordinate and bury share: the look at claims whose worker's lease has lapsed.

local MOST_NOTED = 20                            -- tasks of a lost worker that its failure names
local lapsed = nil                               -- the worker of which this call found that nothing is left

-- What was taken from a lapsed worker so far: count, tasks (id, whether begun), and reason, when it was buried.
local function losses(worker)
  local readable, lost = pcall(cjson.decode, redis.call('HGET', P .. 'lost', worker) or '')
  return readable and lost or {count = 0, tasks = {}}
end

local function why(lost, lease_ms)
  if lost.reason then return 'ended: ' .. lost.reason end
  return 'was not heard of for ' .. math.floor(lease_ms / 1000) .. ' s'
end

local function begun_claims(worker)              -- 'id@token' -> true, where its handler may have been started
  local told = redis.call('HMGET', P .. 'worker:' .. worker, 'running', 'given', 'slots')
  local begun, n = {}, 0
  for word in string.gmatch(told[1] or '', '[^\n]+') do begun[word] = true end
  for word in string.gmatch(told[2] or '', '[^\n]+') do          -- the newest claims, before any report: the first ones
    n = n + 1
    if n <= tonumber(told[3] or 1) then begun[word] = true end
  end
  return begun
end

local function take_back(id, owner, begun, rec, lost, lease_ms, max_crashes)
  local attempt, crashes = tonumber(rec[3] or 1), tonumber(rec[2] or 0) + (begun and 1 or 0)
  local reason = 'worker ' .. plain(owner) .. ' ' .. why(lost, lease_ms)
  lost.count = lost.count + 1
  if #lost.tasks < MOST_NOTED then lost.tasks[#lost.tasks + 1] = {id, begun} end
  if begun and crashes >= max_crashes then
    give_up(id, attempt, crashes, reason, owner, true)
  else
    transition({action = 'reclaim', id = id, attempt = attempt, worker = owner, lost = true, begun = begun,
                reason = reason})
  end
end

-- Nothing of a worker is left. One that left in order, or was lost before, may have got a lease again by a late call.
local function lose(worker, lease_ms)
  local lost = losses(worker)
  local rec = redis.call('HMGET', P .. 'worker:' .. worker, 'state', 'last_seen', 'about')
  redis.call('HDEL', P .. 'lost', worker)
  if rec[1] == 'offline' and lost.count == 0 then
    redis.call('ZREM', P .. 'leases', worker)
    redis.call('SREM', P .. 'idle', worker)
    return
  end
  local readable, about = pcall(cjson.decode, rec[3] or '{}')
  lapsed = {worker = worker, last_seen = rec[2] or '', at = at, reason = why(lost, lease_ms), count = lost.count,
            host = readable and type(about) == 'table' and about.host or nil}
  make_lapse(lapsed, #lost.tasks > 0 and lost.tasks or nil)
end

-- One bounded step over all tasks in `processing`: what belongs to a lapsed worker is put back; a worker without a
-- lease gets one of full length (a missing lease is not a lapsed one: its owner may live, and can't renew it).
-- When one whole round has passed since a lease lapsed, nothing of that worker is left, and the lease goes. A round ends
-- where the claims ended when it began: whoever has lapsed claims nothing new.
-- Returns how many tasks became ready.
local function sweep(clock, lease_ms, max_crashes, limit)
  local state = redis.call('HMGET', KEYS[1], 'sweep_cursor', 'sweep_for', 'sweep_end')
  local cursor, target, round_end = state[1] or '0', state[2] or '', state[3] or '+inf'
  if target == '' then
    target = redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', string.format('%d', clock), 'LIMIT', 0, 1)[1] or ''
    if target ~= '' then cursor = '0' else redis.call('DEL', P .. 'lost') end
  end
  write_indexes()
  if cursor == '0' then round_end = string.format('%d', (seq + 1) * 1000 + 999) end
  local rows = redis.call('ZRANGEBYSCORE', E .. 'processing', '(' .. cursor, round_end, 'WITHSCORES', 'LIMIT', 0, limit)
  local leases, begun, lost = {}, {}, {}           -- by worker
  for i = 1, #rows, 2 do
    local id = rows[i]
    cursor = rows[i + 1]
    local rec = redis.call('HMGET', E .. 'task:' .. id, 'claim', 'crashes', 'attempt')
    local owner, claim = string.match(rec[1] or '', '^(.*) (.-)$')
    if not owner then                              -- its record was deleted or damaged by hand
      forget(id)
    elseif leases[owner] == nil then
      leases[owner] = redis.call('ZSCORE', P .. 'leases', owner) or lease_in_grace(owner, clock, lease_ms)
    end
    if owner and tonumber(leases[owner]) <= clock then
      if not begun[owner] then begun[owner], lost[owner] = begun_claims(owner), losses(owner) end
      take_back(id, owner, begun[owner][id .. '@' .. claim] or false, rec, lost[owner], lease_ms, max_crashes)
    end
  end
  for worker, its in pairs(lost) do redis.call('HSET', P .. 'lost', worker, cjson.encode(its)) end
  if #rows < limit * 2 then
    cursor = '0'
    if target ~= '' then lose(target, lease_ms) end
    target = ''
  end
  redis.call('HSET', KEYS[1], 'sweep_cursor', cursor, 'sweep_for', target, 'sweep_end', round_end)
  local became_ready = #returned
  return_to_ready()
  return became_ready
end

local function with_lapsed(event)                -- the call's event, with the worker that it found to be lost
  if lapsed then
    event = event or {}
    event.lapsed = lapsed
  end
  return event
end
