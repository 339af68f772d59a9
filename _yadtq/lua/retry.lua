-- retry: a person starts a failed task again, with its history.
--
-- ARGV[1] -> id   ARGV[2] -> names this one request: a repeated call is the same one   ARGV[3] -> bound of the outbox
--
-- Returns {'ok', word}   word   queued · absent · or the status that forbids it

local id = ARGV[1]
local key = E .. 'task:' .. id
local rec = redis.call('HMGET', key, 'status', 'retried', 'attempt', 'worker_id', 'started_at', 'finished_at', 'error',
                       'history', 'claim')
if rec[2] == ARGV[2] then return {'ok', 'queued'} end
if not rec[1] or rec[1] == 'withdrawn' then return {'ok', 'absent'} end
if rec[1] ~= 'failed' then return {'ok', rec[1]} end
if outbox_full(ARGV[3]) then return {'full'} end

local readable, failure = pcall(cjson.decode, rec[7] or '{}')
if not readable then                             -- half a character pair: cjson reads none
  failure = {type = 'unreadable', message = 'the reason cannot be shown'}
end
redis.call('HSET', key, 'status', 'queued', 'retried', ARGV[2], 'settled', rec[9] or '', 'failures', '0', 'crashes', '0', 'history',
  remember(rec[8], {n = tonumber(rec[3]), w = rec[4] or '', s = rec[5] or '0', f = rec[6] or '0', o = 'failed',
                    r = (failure.type or '') .. ': ' .. (failure.message or '')}))
redis.call('HDEL', key, 'worker_id', 'started_at', 'finished_at', 'error')
redis.call('ZREM', E .. 'failed', id)
redis.call('RPUSH', E .. 'ready', id)
note('requeue', id)
wake(1)
commit('retry', 'client')
return {'ok', 'queued'}
