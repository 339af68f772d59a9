-- match: ids of tasks that match, newest first, in bounded steps.
--
-- ARGV[1] -> status or ''   ARGV[2] -> name of the task or ''   ARGV[3] -> worker or ''   ARGV[4] -> beginning of the id
-- ARGV[5] -> first place to look at, from 0   ARGV[6] -> how many places   ARGV[7] -> how many ids at most
--
-- Returns {'ok', places looked at, 'more' or '', id, …}   more   there are places behind those

local task, worker, prefix, most = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[7])

local function matches(id)
  if string.sub(id, 1, #prefix) ~= prefix then return false end
  if task == '' and worker == '' then return true end
  local rec = redis.call('HMGET', E .. 'task:' .. id, 'task', 'worker_id')
  return (task == '' or rec[1] == task) and (worker == '' or rec[2] == worker)
end

local ids, looked, found = ids_at(ARGV[1], tonumber(ARGV[5]), tonumber(ARGV[6])), 0, {}
while looked < #ids and #found < most do
  looked = looked + 1
  if matches(ids[looked]) then found[#found + 1] = ids[looked] end
end
local more = (looked < #ids or #ids == tonumber(ARGV[6])) and 'more' or ''
return {'ok', looked, more, unpack(found)}
