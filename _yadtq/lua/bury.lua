-- bury: a worker is dead, and its tasks go back now instead of after its lease. Only for whoever has seen that no process
-- of this incarnation is left: no parent, no guard and no child. Then its lease may end early, and nothing else differs
-- from a lease that lapses by itself; a call of it that was held up meets what it would meet then.
--
-- ARGV[1] -> incarnation   ARGV[2] -> names this one request: a repeated call is the same one
-- ARGV[3] -> how it ended, for a person     ARGV[4] -> lease of a worker, milliseconds
-- ARGV[5] -> crashes that end a task        ARGV[6] -> how many claims to look at
--
-- Returns {'ok', word}
--   word   buried (nothing of it is left) · more (call again) · absent (it has no lease)
--          waits (not every worker has said what it holds: its lease is over, and the sweep finds the rest later)

local worker, clock = ARGV[1], lease_clock()
local worker_key = P .. 'worker:' .. worker
local function has_lease() return redis.call('ZSCORE', P .. 'leases', worker) end
if not has_lease() then return {'ok', redis.call('HGET', worker_key, 'buried') == ARGV[2] and 'buried' or 'absent'} end

if redis.call('EXISTS', worker_key) == 1 then redis.call('HSET', worker_key, 'buried', ARGV[2]) end
local lost = losses(worker)
lost.reason = ARGV[3]
redis.call('HSET', P .. 'lost', worker, cjson.encode(lost))
redis.call('ZADD', P .. 'leases', '0', worker)
if redis.call('HGET', KEYS[1], 'relay') == worker then redis.call('HDEL', KEYS[1], 'relay', 'relay_until') end
if quarantine then
  end_quarantine(clock)
  return {'ok', redis.call('HEXISTS', KEYS[1], 'mode') == 1 and 'waits' or 'more'}
end

wake(sweep(clock, tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])))
commit('bury', 'manager', with_lapsed())
return {'ok', has_lease() and 'more' or 'buried'}
