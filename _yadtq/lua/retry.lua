-- retry: a person starts a failed task again, with its history.
--
-- ARGV[1] -> id   ARGV[2] -> names this one request: a repeated call is the same one   ARGV[3] -> bound of the outbox
--
-- Returns {'ok', word}   word   requeued · absent · or the status that forbids it

local id = ARGV[1]
local rec = redis.call('HMGET', E .. 'task:' .. id, 'status', 'retried')
if rec[2] == ARGV[2] then return {'ok', 'requeued'} end
if not rec[1] or rec[1] == 'withdrawn' then return {'ok', 'absent'} end
if rec[1] ~= 'failed' then return {'ok', rec[1]} end
if outbox_full(ARGV[3]) then return {'full'} end

transition({action = 'requeue', id = id, request = ARGV[2]})
wake(1)
commit('retry', 'client')
return {'ok', 'requeued'}
