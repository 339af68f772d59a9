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
if redis.call('HGET', KEYS[1], 'relay') == me then redis.call('HDEL', KEYS[1], 'relay', 'relay_until') end
return {'ok'}
