-- reset: raises the epoch. What was registered or published before is gone, what comes after is kept.
--
-- ARGV[1] -> names this one request: a repeated call is the same one
-- ARGV[2…] -> partition, its end offset, …   messages below it that carry no header belong to the past
--
-- Returns {'ok', new epoch, tasks removed}

local done = redis.call('HMGET', KEYS[1], 'reset_request', 'reset_removed')
if done[1] == ARGV[1] then return {'ok', epoch, done[2]} end
local removed = redis.call('ZCARD', E .. 'all')
local floors = {}
for i = 2, #ARGV, 2 do
  local floor = redis.call('HGET', P .. 'floors', ARGV[i])
  if not floor or tonumber(floor) < tonumber(ARGV[i + 1]) then
    redis.call('HSET', P .. 'floors', ARGV[i], ARGV[i + 1])
    floors[ARGV[i]] = tonumber(ARGV[i + 1])
  end
end
local after = string.format('%d', tonumber(epoch) + 1)
redis.call('HSET', KEYS[1], 'epoch', after, 'reset_request', ARGV[1], 'reset_removed', removed,
           'sweep_cursor', '0', 'sweep_for', '')
redis.call('RPUSH', P .. 'old', epoch)           -- tidy unlinks its keys in bounded steps
commit('reset', 'client', {action = 'reset', removed = removed, new_epoch = tonumber(after),
                          floors = next(floors) and floors or nil})
return {'ok', after, string.format('%d', removed)}
