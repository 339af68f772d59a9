-- What list and match share: the ids of a list, newest first, by their places in it.

-- status   or '' for all   first   the first place, from 0
local function ids_at(status, first, count)
  local ids = {}

  -- Adds the part of one index that is still wanted; `size` elements, newest at the end.
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

  if status == '' then
    sorted('all')
  elseif status == 'queued' then
    sorted('registered')
    page(redis.call('LLEN', E .. 'ready'), function(a, b)
      local part, reversed = redis.call('LRANGE', E .. 'ready', -b - 1, -a - 1), {}
      for i = #part, 1, -1 do reversed[#reversed + 1] = part[i] end
      return reversed
    end)
    sorted('delayed')
  else
    sorted(status)
  end
  return ids
end
