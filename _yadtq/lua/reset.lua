-- reset: raises the epoch. What was registered or published before is gone, what comes after is kept.
--
-- ARGV[1] -> names this one request: a repeated call is the same one (the last 16 are known)
-- ARGV[2…] -> partition, its end offset, …   messages below it that carry no header belong to the past
--
-- Returns {'ok', new epoch, tasks removed, token}   token   of its event: done when that is in Kafka (rule resetwait)

for line in string.gmatch(redis.call('HGET', KEYS[1], 'resets') or '', '[^\n]+') do
  local request, new_epoch, removed, made = string.match(line, '^(%S+) (%d+) (%d+) (%S+)$')
  if request == ARGV[1] then return {'ok', new_epoch, removed, made} end
end
local floors = {}
for i = 2, #ARGV, 2 do
  local floor = redis.call('HGET', P .. 'floors', ARGV[i])
  if not floor or tonumber(floor) < tonumber(ARGV[i + 1]) then floors[ARGV[i]] = tonumber(ARGV[i + 1]) end
end
local event = {action = 'reset', request = ARGV[1], removed = redis.call('ZCARD', E .. 'all'),
               new_epoch = tonumber(epoch) + 1, floors = next(floors) and floors or nil}
make_reset(event)
commit('reset', 'client', event)
return {'ok', string.format('%d', event.new_epoch), string.format('%d', event.removed), token}
