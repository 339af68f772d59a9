-- settle: outcomes of one worker's claims, each fenced by its claim. An outcome whose claim is gone changes nothing.
--
-- ARGV[1] -> incarnation   ARGV[2] -> crashes that end a task
-- ARGV[3] -> number of takes that gave the claims; then for each: epoch, token
-- then the number of outcomes; then for each: id, take (its place among them), kind, began, ended, text,
-- and for retry, crash and release: reason, delay
--     kind     success (text: result) · failed (text: failure) · retry (text: failure) · crash · release
--     began, ended   milliseconds ago; began '' when it never ran       text    JSON; '' for crash and release
--     reason   for a person                                             delay   milliseconds, for a retry
--
-- Returns {'ok', epoch, place, word, …}: the outcomes that were not settled, each with its place among them
--   word   already (a repeated call) · refused

if quarantine then return {'quarantine'} end
local me, max_crashes = ARGV[1], tonumber(ARGV[2])
local words = {}

local function refuse(o, refused)
  if refused ~= o.token then
    transition({action = 'refused', id = o.id, worker = me, token = o.token, kind = o.kind,
                started_at = o.began and instant(now - o.began) or nil,
                token_epoch = o.epoch ~= epoch and o.epoch or nil})
  end
  return 'refused'
end

local function put_back_by(o, attempt)
  transition({action = o.kind, id = o.id, attempt = attempt, worker = me, reason = o.reason, begun = o.began ~= nil,
              error = o.kind == 'retry' and o.text or nil,
              retry_at = o.kind == 'retry' and instant(now + o.delay) or nil,
              started_at = o.began and instant(now - o.began) or nil, finished_at = instant(now - o.ended)})
end

local function settle(o)
  if o.epoch ~= epoch then return refuse(o) end
  local key = E .. 'task:' .. o.id
  local rec = redis.call('HMGET', key, 'status', 'claim', 'attempt', 'crashes', 'waiters', 'failures', 'task')
  local claim = me .. ' ' .. o.token
  if rec[2] == claim and rec[1] ~= 'processing' then return 'already' end
  if rec[2] ~= claim then
    local ended = redis.call('HMGET', key, 'settled', 'refused')
    return ended[1] == claim and 'already' or refuse(o, ended[2])
  end
  local attempt, crashes = tonumber(rec[3]), tonumber(rec[4] or 0) + 1
  if o.kind == 'success' or o.kind == 'failed' then
    transition({action = o.kind, id = o.id, attempt = attempt, worker = me, finished_at = instant(now - o.ended),
                started_at = instant(now - (o.began or o.ended)),
                [o.kind == 'success' and 'result' or 'error'] = o.text}, {rec[5], rec[6], rec[2], rec[7]})
  elseif o.kind == 'crash' and crashes >= max_crashes then
    give_up(o.id, attempt, crashes, o.reason, me)
  else
    put_back_by(o, attempt)
  end
  return 'settled'
end

local takes = tonumber(ARGV[3])
local cursor = 5 + 2 * takes                     -- the first outcome
for i = 1, tonumber(ARGV[4 + 2 * takes]) do
  local its_take = 2 + 2 * tonumber(ARGV[cursor + 1])
  local o = {id = ARGV[cursor], epoch = ARGV[its_take], token = ARGV[its_take + 1], kind = ARGV[cursor + 2],
             began = tonumber(ARGV[cursor + 3]), ended = tonumber(ARGV[cursor + 4]), text = ARGV[cursor + 5]}
  cursor = cursor + 6
  if o.kind ~= 'success' and o.kind ~= 'failed' then
    o.reason, o.delay = ARGV[cursor], tonumber(ARGV[cursor + 1])
    cursor = cursor + 2
  end
  local word = settle(o)
  if word ~= 'settled' then words[#words + 1], words[#words + 2] = i, word end
end
wake(#returned)
return_to_ready()
commit('settle', me)
return {'ok', epoch, unpack(words)}
