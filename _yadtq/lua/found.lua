-- found: begins the queue. The only script that runs without one, and the only one without the prelude.
--
-- KEYS[1] -> {namespace}:meta
-- ARGV[1] -> generation, milliseconds   Returns {'ok', 'founded' or 'exists'}

if redis.call('HEXISTS', KEYS[1], 'generation') == 1 then return {'ok', 'exists'} end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'protocol', '1', 'generation', ARGV[1], 'epoch', '0', 'seq', '0', 'order', '0', 'clock', '0',
           'clock_at', string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000)))
return {'ok', 'founded'}
