-- leave: a worker that has given back everything ends. What it might still own is found by the sweep. One whose lease
-- has lapsed was lost, and does not leave: the sweep ends it.
--
-- ARGV[1] -> incarnation
-- Returns {'ok'}

local me = ARGV[1]
if tonumber(redis.call('ZSCORE', P .. 'leases', me) or 0) > lease_clock() then
  redis.call('ZREM', P .. 'leases', me)
  redis.call('HSET', P .. 'worker:' .. me, 'state', 'offline', 'last_seen', at, 'running', '')
  commit('leave', me, {action = 'leave'})
end
redis.call('SREM', P .. 'idle', me)
redis.call('ZREM', P .. 'joining', me)
redis.call('SREM', P .. 'unconfirmed', me)
if redis.call('HGET', KEYS[1], 'relay') == me then redis.call('HDEL', KEYS[1], 'relay', 'relay_until') end
if quarantine then end_quarantine(lease_clock()) end
return {'ok'}
