-- withdraw: a submission whose acknowledgement did not come. Refused means that it never runs.
--
-- ARGV[1] -> id   ARGV[2] -> submission   ARGV[3] -> epoch and ARGV[4] -> generation of its registration ('' unknown)
--
-- Returns {'ok', word}   word   refused · acknowledged (claimed or ended) · unknown (everything else)

local id, refused = ARGV[1], 'refused'
if ARGV[4] ~= '' and ARGV[4] ~= generation then refused = 'unknown' end      -- rule withdrawgen
local key = E .. 'task:' .. id
local rec = redis.call('HMGET', key, 'status', 'submitted_by', 'shared', 'claim')
if ARGV[3] ~= '' and ARGV[3] ~= epoch then return {'ok', 'unknown'} end
if not rec[1] or rec[2] ~= ARGV[2] or rec[3] then return {'ok', 'unknown'} end
if rec[1] == 'withdrawn' then return {'ok', refused} end
if rec[1] ~= 'queued' or rec[4] then return {'ok', 'acknowledged'} end

if redis.call('ZREM', E .. 'registered', id) == 0 then redis.call('LREM', E .. 'ready', 1, id) end
redis.call('ZREM', E .. 'all', id)
redis.call('DEL', key)                           -- a late message of it creates nothing; this only answers a repeat
redis.call('HSET', key, 'status', 'withdrawn', 'submitted_by', ARGV[2])
redis.call('PEXPIRE', key, 3600000)
note('withdraw', id)
commit('withdraw', 'client')
return {'ok', refused}
