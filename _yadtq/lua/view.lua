-- view: records, whole.
--
-- ARGV[…] -> ids
-- Returns {'ok', {field, value, …}, …}   an empty list for an id that nobody has

local records = {'ok'}
for i, id in ipairs(ARGV) do
  local record = redis.call('HGETALL', E .. 'task:' .. id)
  records[i + 1] = record
  for f = 1, #record, 2 do
    if record[f] == 'status' and record[f + 1] == 'withdrawn' then records[i + 1] = {} end
  end
end
return records
