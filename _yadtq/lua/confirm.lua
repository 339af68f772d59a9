-- confirm: after a restart of Redis, a worker says what it holds. What Redis has and it does not goes back to ready;
-- what it has and Redis does not is forgotten: the worker must kill it, and confirm again without it.
--
-- ARGV[1] -> incarnation   ARGV[2] -> number of the last take whose reply was read
-- ARGV[3] -> number of claims held, outcomes not yet settled among them; then for each: id, epoch, token, attempt
--
-- Returns {'ok', place of a claim that is forgotten, from 1, …}   none: it is confirmed

local me, held, forgotten = ARGV[1], {}, {}
if redis.call('SISMEMBER', P .. 'unconfirmed', me) == 0 then       -- a late call changes nothing
  if quarantine then end_quarantine(lease_clock()) end             -- nobody else may be there to notice
  return {'ok'}
end

local function stands(id, claim)                 -- also when its outcome was settled, and only the reply was lost
  local rec = redis.call('HMGET', E .. 'task:' .. id, 'claim', 'settled', 'forgotten')
  return rec[1] == me .. ' ' .. claim or rec[2] == me .. ' ' .. claim, rec[3] == claim
end

for i = 1, tonumber(ARGV[3]) do
  local a = 4 + (i - 1) * 4
  local id, its_epoch, claim, attempt = ARGV[a], ARGV[a + 1], ARGV[a + 2], tonumber(ARGV[a + 3])
  local standing, told = false, false
  if its_epoch == epoch then standing, told = stands(id, claim) end
  if standing then
    held[id] = true
  else
    forgotten[#forgotten + 1] = i
    if its_epoch == epoch and not told then
      transition({action = 'forgotten', id = id, worker = me, token = claim, attempt = attempt,
                  reason = 'Redis came back without it'})
    end
  end
end

if #forgotten == 0 then
  for _, id in ipairs(redis.call('ZRANGE', E .. 'processing', 0, -1)) do
    local rec = redis.call('HMGET', E .. 'task:' .. id, 'claim', 'attempt')
    if not held[id] and string.match(rec[1] or '', '^(.*) .-$') == me then
      transition({action = 'release', id = id, attempt = tonumber(rec[2] or 1), worker = me, lost = true, begun = true,
                  reason = 'Redis came back with a claim that its worker does not hold'})
    end
  end
  return_to_ready()
  redis.call('HSET', P .. 'worker:' .. me, 'take', ARGV[2], 'given', '')
  redis.call('SREM', P .. 'unconfirmed', me)
  end_quarantine(lease_clock())
end
commit('confirm', me)
return {'ok', unpack(forgotten)}
