-- resign: a server ends. Another one leads, and any program may send the events.
--
-- ARGV[1] -> id of the server
-- Returns {'ok'}

local me, held = ARGV[1], redis.call('HMGET', KEYS[1], 'leader', 'relay')
if held[1] == me then redis.call('HDEL', KEYS[1], 'leader', 'leader_until') end
if held[2] == me then redis.call('HDEL', KEYS[1], 'relay', 'relay_until') end
local readable, server = pcall(cjson.decode, redis.call('HGET', P .. 'servers', me) or '')
if readable and type(server) == 'table' then
  server.state, server.last_seen = 'offline', at
  redis.call('HSET', P .. 'servers', me, cjson.encode(server))
end
return {'ok'}
