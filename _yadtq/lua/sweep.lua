-- What take and beat share: the look at claims whose worker's lease has lapsed.

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
    if target ~= '' then cursor = '0' end
  end
  if cursor == '0' then round_end = string.format('%d', (seq + 1) * 1000 + 999) end
  local rows = redis.call('ZRANGEBYSCORE', E .. 'processing', '(' .. cursor, round_end, 'WITHSCORES', 'LIMIT', 0, limit)
  local leases, begun_by = {}, {}
  for i = 1, #rows, 2 do
    local id, key = rows[i], E .. 'task:' .. rows[i]
    cursor = rows[i + 1]
    local rec = redis.call('HMGET', key, 'claim', 'crashes', 'attempt')
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
      local attempt, crashes = tonumber(rec[3] or 1), tonumber(rec[2] or 0) + (begun and 1 or 0)
      local reason = 'worker ' .. plain(owner) .. ' was not heard of for ' .. math.floor(lease_ms / 1000) .. ' s'
      if begun and crashes >= max_crashes then
        give_up(id, attempt, crashes, reason, owner, true)
      else
        transition({action = 'reclaim', id = id, attempt = attempt, worker = owner, lost = true, begun = begun,
                    reason = reason})
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
  redis.call('HSET', KEYS[1], 'sweep_cursor', cursor, 'sweep_for', target, 'sweep_end', round_end)
  local became_ready = #returned
  return_to_ready()
  return became_ready
end
