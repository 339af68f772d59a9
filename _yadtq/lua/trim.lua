-- trim: the relay has Kafka's acknowledgement for all events up to one.
--
-- ARGV[1] -> id of the last acknowledged entry
-- Returns {'ok', entries left}

local first, counter = string.match(ARGV[1], '^(%d+)-(%d+)$')
redis.call('XTRIM', P .. 'events', 'MINID', first .. '-' .. string.format('%d', tonumber(counter) + 1))
return {'ok', redis.call('XLEN', P .. 'events')}
