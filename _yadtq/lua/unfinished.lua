-- unfinished: the oldest task that has not ended, in bounded steps over all tasks, the oldest first.
--
-- ARGV[1] -> order behind which to look, '' for all   ARGV[2] -> how many tasks to look at
-- ARGV[3] -> instant, milliseconds: what was submitted from then on does not count
--
-- Returns {'ok', 'found', its submitted_at in milliseconds}, {'ok', 'none'}, or {'ok', 'more', order to go on behind}

local ended = {success = true, failed = true, rejected = true}
local from = ARGV[1] == '' and '-inf' or '(' .. ARGV[1]
local rows = redis.call('ZRANGEBYSCORE', E .. 'all', from, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for i = 1, #rows, 2 do
  local rec = redis.call('HMGET', E .. 'task:' .. rows[i], 'status', 'submitted_at')
  local submitted = rec[2] and milliseconds(rec[2]) or 0
  if submitted >= tonumber(ARGV[3]) then return {'ok', 'none'} end
  if rec[1] and not ended[rec[1]] then return {'ok', 'found', string.format('%d', submitted)} end
end
if #rows < tonumber(ARGV[2]) * 2 then return {'ok', 'none'} end
return {'ok', 'more', rows[#rows]}
