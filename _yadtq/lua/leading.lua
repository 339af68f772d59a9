-- After the prelude, in the scripts that lead Redis back: only the newest attempt on this server, as it runs now, acts
-- (rule election). ARGV[1] -> number of the attempt, and ARGV[2] -> run id of the server, both as begin answered them
-- ARGV[3] -> for how long nobody else may begin, milliseconds

local led = redis.call('HMGET', KEYS[1], 'attempt', 'attempt_run')
if led[1] ~= ARGV[1] or led[2] ~= ARGV[2] or run ~= ARGV[2] or head[7] == run then return {'outdated'} end
redis.call('HSET', KEYS[1], 'attempt_until', string.format('%d', now + tonumber(ARGV[3])))
