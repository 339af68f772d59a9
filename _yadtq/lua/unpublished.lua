-- unpublished: tasks that were registered long ago, and whose message nobody has read.
--
-- ARGV[1] -> instant, milliseconds; '' for now   ARGV[2] -> how long before it they were registered, milliseconds
-- ARGV[3] -> how many at most   ARGV[4] -> how many of the oldest to pass over
-- Returns {'ok', now in milliseconds, epoch, {id, task, args, kwargs, max_retries, time_limit, mark}, …}

local instant_ms = ARGV[1] == '' and now or tonumber(ARGV[1])
local rows = {'ok', string.format('%d', now), epoch}
local before = string.format('%d', instant_ms - tonumber(ARGV[2]))
for _, id in ipairs(redis.call('ZRANGEBYSCORE', E .. 'registered', '-inf', before, 'LIMIT', ARGV[4], ARGV[3])) do
  local rec = redis.call('HMGET', E .. 'task:' .. id, 'task', 'args', 'kwargs', 'max_retries', 'time_limit', 'mark')
  rows[#rows + 1] = {id, rec[1], rec[2], rec[3], rec[4] or '', rec[5] or '', rec[6]}
end
return rows
