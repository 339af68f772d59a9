-- open: Redis has been led back, or a queue is founded. A new generation begins, and with it the quarantine: nothing is
-- handed out, reclaimed or settled until every registered worker has confirmed what it holds, or has lapsed.
--
-- ARGV[1], ARGV[2], ARGV[3] -> (see leading)   ARGV[4] -> the new generation   ARGV[5] -> a lease, milliseconds
-- ARGV[6…] -> generation, and which numbers were forgotten when it began: 'last first-last …', those behind the first
--             number and those in the ranges; for this generation and for earlier ones that Redis may not know;
--             'oldest', and the first generation of the queue: an older one is of another queue
--
-- Returns {'ok', 'open' or 'quarantine'}

for a = 6, #ARGV, 2 do redis.call('HSETNX', P .. 'generations', ARGV[a], ARGV[a + 1]) end
local names = redis.call('HKEYS', P .. 'generations')
table.sort(names, function(a, b) return (tonumber(a) or math.huge) < (tonumber(b) or math.huge) end)
for i = 1, #names - 100 do redis.call('HDEL', P .. 'generations', names[i]) end

redis.call('HSET', KEYS[1], 'generation', ARGV[4], 'run', run, 'mode', 'quarantine', 'clock_at', string.format('%d', now))
redis.call('HDEL', KEYS[1], 'relay', 'relay_until', 'attempt_by', 'attempt_until', 'kept', 'sweep_cursor', 'sweep_for')
redis.call('DEL', P .. 'unconfirmed', P .. 'idle')
local clock = lease_clock()
local leases = redis.call('ZRANGE', P .. 'leases', 0, -1, 'WITHSCORES')
for i = 1, #leases, 2 do                         -- its owner may have renewed it since: it lasts at least as long again
  local worker, lease = leases[i], tonumber(leases[i + 1])
  local whole = clock + tonumber(redis.call('HGET', P .. 'worker:' .. worker, 'lease') or ARGV[5])
  if lease > clock then
    redis.call('SADD', P .. 'unconfirmed', worker)
    redis.call('ZADD', P .. 'leases', lease % 1 == 0 and string.format('%d', whole) or string.format('%d.5', whole), worker)
  end
end
end_quarantine(clock)
return {'ok', redis.call('HGET', KEYS[1], 'mode') or 'open'}
