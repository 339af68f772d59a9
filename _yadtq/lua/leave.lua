-- leave: a worker that has given back everything ends. What it might still own is found by the sweep.
--
-- ARGV[1] -> incarnation
-- Returns {'ok'}

local me = ARGV[1]
if redis.call('ZREM', P .. 'leases', me) == 1 then
  redis.call('HSET', P .. 'worker:' .. me, 'state', 'offline', 'last_seen', at, 'running', '')
  commit('leave', me, {action = 'leave'})
end
redis.call('SREM', P .. 'idle', me)
redis.call('ZREM', P .. 'joining', me)
redis.call('SREM', P .. 'unconfirmed', me)
if redis.call('HGET', KEYS[1], 'relay') == me then redis.call('HDEL', KEYS[1], 'relay', 'relay_until') end
if quarantine then end_quarantine(lease_clock()) end
return {'ok'}
