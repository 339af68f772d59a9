-- list: ids, newest first.
--
-- ARGV[1] -> status or ''   ARGV[2] -> first place, from 0   ARGV[3] -> how many
-- Returns {'ok', epoch, id, …}

local first, count = tonumber(ARGV[2]), tonumber(ARGV[3])
local ids = {}

-- Adds the part of one index that the page still wants; `size` elements, newest at the end.
local function page(size, range)
  local want = count - #ids
  if want > 0 and first < size then
    for _, id in ipairs(range(first, first + want - 1)) do ids[#ids + 1] = id end
  end
  first = math.max(0, first - size)
end

local function sorted(name)
  page(redis.call('ZCARD', E .. name), function(a, b) return redis.call('ZREVRANGE', E .. name, a, b) end)
end

if ARGV[1] == '' then
  sorted('all')
elseif ARGV[1] == 'queued' then
  sorted('registered')
  page(redis.call('LLEN', E .. 'ready'), function(a, b)
    local part, reversed = redis.call('LRANGE', E .. 'ready', -b - 1, -a - 1), {}
    for i = #part, 1, -1 do reversed[#reversed + 1] = part[i] end
    return reversed
  end)
  sorted('delayed')
else
  sorted(ARGV[1])
end
return {'ok', epoch, unpack(ids)}
