-- overview: what the programs that look after a queue see of it, beside stats and workers. Nothing here is in proportion
-- to the number of tasks.
--
-- ARGV[1] -> length of a span, milliseconds   ARGV[2] -> how many spans   ARGV[3] -> how many failures of workers
--
-- Returns {'ok', now in milliseconds, 'quarantine' or '', since when the task waits that waits longest for its first
--          start, in milliseconds ('' none does), {success, failed, …}, relay ('' nobody), leader ('' nobody),
--          {server, JSON, …}, {failure as JSON, …}}
--   success, failed   how many ended in each span, the oldest first; the last one ends now
--   failure           the newest first

local clock = clock_now()

-- The head of `ready` may be a task that has come back: one that was never started stands behind those.
local function longest_wait()
  local first = redis.call('ZRANGE', E .. 'registered', 0, 0, 'WITHSCORES')[2]
  local since = first and tonumber(first)
  for _, id in ipairs(redis.call('LRANGE', E .. 'ready', 0, 49)) do
    local rec = redis.call('HMGET', E .. 'task:' .. id, 'submitted_at', 'attempt')
    if rec[1] and (rec[2] or '0') == '0' then
      local submitted = tonumber(rec[1]) * 1000
      return math.min(since or submitted, submitted)
    end
  end
  return since
end

local function holder(name, lease)               -- '' when its lease has lapsed
  return name and tonumber(lease or 0) > clock and name or ''
end

local ended, length, count = {}, tonumber(ARGV[1]), tonumber(ARGV[2])
for span = count, 1, -1 do
  local from = string.format('%d', now - span * length)
  local to = string.format('(%d', now - (span - 1) * length)
  for _, status in ipairs({'success', 'failed'}) do ended[#ended + 1] = redis.call('ZCOUNT', E .. status, from, to) end
end
local waits = longest_wait()
local held = redis.call('HMGET', KEYS[1], 'relay', 'relay_until', 'leader', 'leader_until')
local failures = tonumber(ARGV[3]) > 0 and redis.call('LRANGE', P .. 'failures', 0, tonumber(ARGV[3]) - 1) or {}
return {'ok', string.format('%d', now), head[8] or '', waits and string.format('%d', waits) or '', ended,
        holder(held[1], held[2]), holder(held[3], held[4]), redis.call('HGETALL', P .. 'servers'), failures}
