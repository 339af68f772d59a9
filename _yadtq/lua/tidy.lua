-- tidy: ends the life of old results, and unlinks what a reset has left, in bounded steps.
--
-- ARGV[1] -> life time of a result, milliseconds   ARGV[2] -> tasks per step   ARGV[3] -> rejected messages kept
--
-- Returns {'ok', 'more' or ''}

local limit, more = tonumber(ARGV[2]), ''

local function expire(status, ids)
  for _, id in ipairs(ids) do
    transition({action = 'expire', id = id}, status)
  end
  if #ids == limit then more = 'more' end
end

for _, status in ipairs({'success', 'failed', 'rejected'}) do
  expire(status, redis.call('ZRANGEBYSCORE', E .. status, '-inf', string.format('%d', now - tonumber(ARGV[1])),
                            'LIMIT', 0, limit))
end
write_indexes()
local surplus = redis.call('ZCARD', E .. 'rejected') - tonumber(ARGV[3])
if surplus > 0 then expire('rejected', redis.call('ZRANGE', E .. 'rejected', 0, math.min(surplus, limit) - 1)) end

local old = redis.call('LINDEX', P .. 'old', 0)
if old then
  local O = P .. old .. ':'
  local rows = redis.call('ZPOPMIN', O .. 'all', limit)
  for i = 1, #rows, 2 do redis.call('UNLINK', O .. 'task:' .. rows[i]) end
  if #rows == 0 then
    redis.call('UNLINK', O .. 'all', O .. 'registered', O .. 'ready', O .. 'delayed', O .. 'processing', O .. 'success',
               O .. 'failed', O .. 'rejected', O .. 'load', O .. 'forgotten')
    redis.call('LPOP', P .. 'old')
  end
  more = 'more'
end
commit('tidy', 'relay')
return {'ok', more}
