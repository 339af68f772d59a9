-- beat: one heartbeat renews one lease, and tells how the worker is. Whoever's lease is gone must start anew.
--
-- ARGV[1] -> incarnation             ARGV[2] -> 'join' (the first one) or ''
-- ARGV[3] -> lease, milliseconds     ARGV[4] -> crashes that end a task
-- ARGV[5] -> state: online · draining
-- ARGV[6] -> tasks that it has ended ARGV[7] -> slots    ARGV[8] -> claims begun and not ended: id@token, a line each
-- ARGV[9] -> about: JSON of what does not change (host, process, signatures); '' when it was sent
-- ARGV[10] -> lease of the relay, milliseconds; '' when this worker does not want to be it
--
-- Returns {'ok', epoch, 'relay' or '', 'about' or '', 'confirm' or ''}
--   about     send it again, the worker's record is gone
--   confirm   Redis was restarted: say what you hold

local me, lease_ms = ARGV[1], tonumber(ARGV[3])
local worker_key = P .. 'worker:' .. me
local clock = lease_clock()
if ARGV[2] ~= 'join' and not holds_lease(me, clock) then
  if not redis.call('ZSCORE', P .. 'leases', me) then lease_in_grace(me, clock, lease_ms) end
  return {'lapsed'}
end
redis.call('ZADD', P .. 'leases', string.format('%d', clock + lease_ms), me)

local fields = {'state', ARGV[5], 'last_seen', at, 'executed', ARGV[6], 'slots', ARGV[7], 'running', ARGV[8]}
if ARGV[9] ~= '' then fields[#fields + 1] = 'about'; fields[#fields + 1] = ARGV[9] end
redis.call('HSET', worker_key, unpack(fields))
redis.call('PEXPIRE', worker_key, math.max(86400000, lease_ms * 2))
redis.call('ZADD', P .. 'workers', string.format('%d', now), me)
local joined = ARGV[2] == 'join' and redis.call('HSETNX', worker_key, 'started_at', at) == 1
if joined then
  redis.call('HSET', worker_key, 'take', '0', 'joining', '1', 'lease', ARGV[3])
  redis.call('ZADD', P .. 'joining', string.format('%d', seq + 1), me)   -- it takes nothing yet (rule joinwait)
  redis.call('ZREMRANGEBYSCORE', P .. 'workers', '-inf', string.format('%d', now - 86400000))
  redis.call('ZREMRANGEBYRANK', P .. 'workers', 0, -10001)
end

local relay = ''
if ARGV[10] ~= '' then
  local held = redis.call('HMGET', KEYS[1], 'relay', 'relay_until')
  if held[1] == me or not held[1] or tonumber(held[2]) <= clock then
    redis.call('HSET', KEYS[1], 'relay', me, 'relay_until', string.format('%d', clock + tonumber(ARGV[10])))
    relay = 'relay'
  end
end
if quarantine then end_quarantine(clock) else wake(sweep(clock, lease_ms, tonumber(ARGV[4]), 50)) end
commit('beat', me, with_lapsed(joined and {action = 'join', lease = lease_ms} or nil))
return {'ok', epoch, relay, redis.call('HEXISTS', worker_key, 'about') == 1 and '' or 'about',
        redis.call('SISMEMBER', P .. 'unconfirmed', me) == 1 and 'confirm' or ''}
