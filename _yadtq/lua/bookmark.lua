-- bookmark: notes now and then how far the queue has read, and finds where it was at an earlier instant: the message of
-- whatever was submitted from then on lies there or behind. Bookmarks of another topic, or of another edition of it,
-- tell nothing about this one.
--
-- ARGV[1] -> instant, milliseconds   ARGV[2] -> bookmarks are at least so far apart, milliseconds
--
-- Returns {'ok', {partition, next offset, …}}   of the newest bookmark that is not younger than the instant; empty: none

local edition = redis.call('HGET', KEYS[1], 'edition') or ''

local function offsets(bookmark)                 -- 'edition partition:offset …'; none of another edition
  local its, rest = string.match(bookmark, '^(%S*) (.*)$')
  return its == edition and rest or ''
end

local newest = redis.call('ZREVRANGE', P .. 'bookmarks', 0, 0, 'WITHSCORES')
if not newest[1] or offsets(newest[1]) == '' or tonumber(newest[2]) <= now - tonumber(ARGV[2]) then
  local read, parts = redis.call('HGETALL', P .. 'positions'), {}
  for i = 1, #read, 2 do parts[#parts + 1] = read[i] .. ':' .. read[i + 1] end
  local bookmark = edition .. ' ' .. table.concat(parts, ' ')
  if #parts > 0 then                             -- NX: it tells since when it has stood there
    redis.call('ZADD', P .. 'bookmarks', 'NX', string.format('%d', now), bookmark)
  end
  redis.call('ZREMRANGEBYRANK', P .. 'bookmarks', 0, -1001)
end
local found = redis.call('ZREVRANGEBYSCORE', P .. 'bookmarks', ARGV[1], '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
local positions = {}
if found[1] then
  for partition, offset in string.gmatch(offsets(found[1]), '(%d+):(%d+)') do
    positions[#positions + 1], positions[#positions + 2] = partition, offset
  end
  redis.call('ZREMRANGEBYSCORE', P .. 'bookmarks', '-inf', '(' .. found[2])
end
return {'ok', positions}
