-- coordinate: the heartbeat of a server. One leads: it sends the events when it wants to, even if a worker did so until
-- now, and it looks at lapsed leases. What it does as the leader it may do until its lease is over.
--
-- ARGV[1] -> id of the server           ARGV[2] -> lease of the leader, milliseconds
-- ARGV[3] -> about: JSON of what does not change (host, process)
-- ARGV[4] -> lease of the relay, milliseconds; '' when this server does not want to be it
-- ARGV[5] -> lease of a worker, milliseconds   ARGV[6] -> crashes that end a task
-- ARGV[7] -> how many claims to look at
--
-- Returns {'ok', 'leader' or '', 'relay' or ''}

local me, clock = ARGV[1], lease_clock()
local held = redis.call('HMGET', KEYS[1], 'leader', 'leader_until', 'relay')
local leads = not held[1] or held[1] == me or tonumber(held[2]) <= clock
local is_relay = leads and ARGV[4] ~= ''
if leads then
  redis.call('HSET', KEYS[1], 'leader', me, 'leader_until', string.format('%d', clock + tonumber(ARGV[2])))
end
if is_relay then
  redis.call('HSET', KEYS[1], 'relay', me, 'relay_until', string.format('%d', clock + tonumber(ARGV[4])))
elseif held[3] == me then
  redis.call('HDEL', KEYS[1], 'relay', 'relay_until')
end

local function read(text)                        -- an entry of `servers`
  local readable, server = pcall(cjson.decode, text)
  return readable and type(server) == 'table' and server or {}
end

local function forget_servers()                  -- whoever was not heard of for a day, and more than a hundred
  local servers, seen = redis.call('HGETALL', P .. 'servers'), {}
  for i = 1, #servers, 2 do seen[#seen + 1] = {id = servers[i], at = tonumber(read(servers[i + 1]).last_seen) or 0} end
  table.sort(seen, function(a, b) return a.at > b.at end)
  for i, server in ipairs(seen) do
    if i > 99 or server.at < now / 1000 - 86400 then redis.call('HDEL', P .. 'servers', server.id) end
  end
end

local known = redis.call('HGET', P .. 'servers', me)
if not known then forget_servers() end
redis.call('HSET', P .. 'servers', me, cjson.encode({
  state = leads and 'leading' or 'standby', last_seen = at, started_at = known and read(known).started_at or at,
  lease = tonumber(ARGV[2]), about = ARGV[3]}))

if leads and quarantine then
  end_quarantine(clock)
elseif leads then
  wake(sweep(clock, tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])))
end
commit('coordinate', me, with_lapsed())
return {'ok', leads and 'leader' or '', is_relay and 'relay' or ''}
