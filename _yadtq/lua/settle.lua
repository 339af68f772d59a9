-- settle: outcomes of one worker's claims, each fenced by its claim. An outcome whose claim is gone changes nothing.
--
-- ARGV[1] -> incarnation   ARGV[2] -> crashes that end a task   ARGV[3] -> number of outcomes; then for each:
--   id, epoch, token, kind, text, reason, delay, began, ended
--     kind     success (text: result) · failed (text: failure) · retry (text: failure) · crash · release
--     text     JSON; '' for crash and release      reason   for a person, '' for success
--     delay    milliseconds, for a retry           began, ended   milliseconds ago; began '' when it never ran
--
-- Returns {'ok', epoch, word, …}   word   settled · already (a repeated call) · refused

local me, max_crashes = ARGV[1], tonumber(ARGV[2])
local words = {}

local function refuse(o, key, rec)
  if rec[1] and rec[1] ~= 'withdrawn' and o.epoch == epoch and rec[8] ~= o.token then
    redis.call('HSET', key, 'refused', o.token, 'history',
      remember(rec[6], {n = tonumber(rec[5] or 0), w = plain(me), s = o.began and instant(now - o.began) or at, f = at,
                        o = 'refused', r = o.kind .. ' came after the claim was gone'}))
  end
  if rec[8] ~= o.token then note('refused', o.id, {worker = me, token = o.token, kind = o.kind}) end
  return 'refused'
end

local function finish(o, key, rec)
  local status, started = o.kind, instant(now - (o.began or o.ended))
  local field = status == 'success' and 'result' or 'error'
  redis.call('HSET', key, 'status', status, field, o.text, 'started_at', started,
             'finished_at', instant(now - o.ended))
  if rec[4] then redis.call('HDEL', key, 'waiters') end
  if status == 'failed' then redis.call('HINCRBY', key, 'failures', 1) end
  if status == 'success' and rec[7] then redis.call('HDEL', key, 'error') end
  redis.call('ZREM', E .. 'processing', o.id)
  redis.call('ZADD', E .. status, string.format('%d', now), o.id)
  note(status, o.id, {attempt = tonumber(rec[5]), worker = me, [field] = o.text,
                      started_at = started, finished_at = instant(now - o.ended)})
  tell(rec[4], o.id)
end

local function settle(o)
  local key = E .. 'task:' .. o.id
  local rec = redis.call('HMGET', key, 'status', 'claim', 'settled', 'waiters', 'attempt', 'history', 'failures',
                         'refused', 'crashes')
  local claim = me .. ' ' .. o.token
  if o.epoch ~= epoch then return refuse(o, key, {false}) end
  if rec[3] == claim or (rec[2] == claim and rec[1] ~= 'processing') then return 'already' end
  if rec[2] ~= claim then return refuse(o, key, rec) end
  local crashes = tonumber(rec[9] or 0) + 1
  if o.kind == 'success' or o.kind == 'failed' then
    finish(o, key, rec)
  elseif o.kind == 'crash' and crashes >= max_crashes then
    give_up(o.id, key, crashes, o.reason, me)
  else
    put_back(o.id, key, {
      action = o.kind, crash = o.kind == 'crash', begun = o.began ~= nil, reason = o.reason,
      error = o.kind == 'retry' and o.text or nil, due = o.kind == 'retry' and o.delay or nil,
      started = o.began and instant(now - o.began) or nil, finished = instant(now - o.ended)}, me)
  end
  return 'settled'
end

for i = 1, tonumber(ARGV[3]) do
  local a = 4 + (i - 1) * 9
  words[i] = settle({id = ARGV[a], epoch = ARGV[a + 1], token = ARGV[a + 2], kind = ARGV[a + 3], text = ARGV[a + 4],
                     reason = ARGV[a + 5], delay = tonumber(ARGV[a + 6]), began = tonumber(ARGV[a + 7]),
                     ended = tonumber(ARGV[a + 8])})
end
wake(#returned)
return_to_ready()
commit('settle', me)
return {'ok', epoch, unpack(words)}
