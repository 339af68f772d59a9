-- workers: all that were heard of in the last day.
--
-- Returns {'ok', {incarnation, 'live' or '', field, value, …}, …}

local clock = clock_now()
local rows = {'ok'}
for _, name in ipairs(redis.call('ZREVRANGE', P .. 'workers', 0, 999)) do
  local lease = redis.call('ZSCORE', P .. 'leases', name)
  local row = {name, lease and tonumber(lease) > clock and 'live' or ''}
  for _, value in ipairs(redis.call('HGETALL', P .. 'worker:' .. name)) do row[#row + 1] = value end
  rows[#rows + 1] = row
end
return rows
