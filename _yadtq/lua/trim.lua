-- trim: the relay has Kafka's acknowledgement for all events up to one.
--
-- ARGV[1] -> id of the last acknowledged entry   ARGV[2] -> generation with which they were sent
-- ARGV[3] -> offset behind them in the event log: what Redis may forget from now on stands there or later
-- Returns {'ok', entries left}, or {'outdated'} when the generation is over: what was sent with it may be void

if ARGV[2] ~= generation then return {'outdated'} end
local first, counter = string.match(ARGV[1], '^(%d+)-(%d+)$')
redis.call('XTRIM', P .. 'events', 'MINID', first .. '-' .. string.format('%d', tonumber(counter) + 1))
redis.call('HSET', KEYS[1], 'trimmed', counter, 'events_offset', ARGV[3])

-- Workers whose join is in the event log now may take tasks (rule joinwait).
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', P .. 'joining', '-inf', counter, 'LIMIT', 0, 100)) do
  redis.call('ZREM', P .. 'joining', worker)
  redis.call('HDEL', P .. 'worker:' .. worker, 'joining')
  redis.call('PUBLISH', P .. 'wake:' .. worker, 'ready')
end
return {'ok', redis.call('XLEN', P .. 'events')}
