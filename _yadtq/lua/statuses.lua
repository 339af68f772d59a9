-- statuses: what has become of tasks.
--
-- ARGV[…] -> ids
-- Returns {'ok', status, …}   '' for an id that nobody has

local statuses = {'ok'}
for i, id in ipairs(ARGV) do
  local status = redis.call('HGET', E .. 'task:' .. id, 'status')
  statuses[i + 1] = status and status ~= 'withdrawn' and status or ''
end
return statuses
