-- What becomes of a task: every transition, as a function of its entry in the event log. A script decides, and makes it
-- here; when Redis has come back without it, apply makes it again from the log. So an entry carries all that it changes,
-- and what the functions find beside it (now, at, token, epoch) is of the call that made it.
--
-- e.action, e.id   on every entry; its other fields: docs/protocol.md

local make = {}
local returned = {}                              -- ids that are ready again, in the order of their claims
local claims = 0                                 -- made by this call

local function transition(e, known)              -- known: fields of the record that the script has just read
  make[e.action](e, E .. 'task:' .. e.id, known)
  transitions[#transitions + 1] = e
end

local function return_to_ready()                 -- first: they were taken before all that wait there
  for i = #returned, 1, -1 do redis.call('LPUSH', E .. 'ready', returned[i]) end
  returned = {}
end

local function tell(waiters, id)                 -- tells clients that a task has ended
  if not waiters then return end
  for channel in string.gmatch(waiters, '%S+') do
    redis.call('PUBLISH', channel, id)
  end
end

local function remember(history, entry)          -- the record keeps its last 20 attempts
  local attempts = history and history ~= '' and cjson.decode(history) or {}
  attempts[#attempts + 1] = entry
  while #attempts > 20 do table.remove(attempts, 1) end
  return cjson.encode(attempts)
end

local function milliseconds(text)                -- '1755103784.123' -> milliseconds
  local seconds, rest = string.match(text, '^(%d+)%.(%d%d%d)$')
  return seconds * 1000 + rest
end

local function forget(id)                        -- an id without a record would be in the way for ever
  for _, name in ipairs({'all', 'registered', 'delayed', 'processing'}) do index(name, id) end
end

local function limits(key, e)
  if e.max_retries then redis.call('HSET', key, 'max_retries', e.max_retries) end
  if e.time_limit then redis.call('HSET', key, 'time_limit', e.time_limit) end
end

local forgotten_of = nil                         -- the epoch of which is known that its hash `forgotten` is empty

local function forgotten_attempt(id)             -- of its last start, which Redis has forgotten: no number is used again
  if forgotten_of == epoch then return end
  if redis.call('EXISTS', E .. 'forgotten') == 1 then return redis.call('HGET', E .. 'forgotten', id) end
  forgotten_of = epoch
end

local function note_forgotten(id, attempt)
  redis.call('HSET', E .. 'forgotten', id, attempt)
  forgotten_of = nil
end

local function count_forgotten(key, id)
  local attempt = forgotten_attempt(id)
  if not attempt then return end
  redis.call('HSET', key, 'attempt', attempt)
  redis.call('HDEL', E .. 'forgotten', id)
end

-- A task begins --------------------------------------------------------------------------------------------------------

-- known    'new' when the script has just seen that there is no record
function make.register(e, key, known)            -- withdrawn: submissions of this id that were refused before
  if known ~= 'new' then redis.call('DEL', key) end        -- their tombstone
  redis.call('HSET', key, 'status', 'queued', 'task', e.task, 'args', e.args, 'kwargs', e.kwargs, 'submitted_at', at,
             'submitted_by', e.submitted_by, 'order', e.order, 'mark', token)
  if e.withdrawn then redis.call('HSET', key, 'withdrawn', e.withdrawn) end
  limits(key, e)
  count_forgotten(key, e.id)
  index('all', e.id, e.order)
  index('registered', e.id, string.format('%d', now))
end

function make.share(e, key)                      -- registered once more: nobody can withdraw it any more
  if redis.call('EXISTS', key) == 1 then redis.call('HSET', key, 'shared', '1') end
end

function make.admit(e, key)                      -- mark: of a registration that Redis has forgotten
  redis.call('DEL', key)
  redis.call('HSET', key, 'status', 'queued', 'task', e.task, 'args', e.args, 'kwargs', e.kwargs, 'submitted_at', at,
             'submitted_by', 'kafka', 'order', e.order)
  if e.mark then redis.call('HSET', key, 'mark', e.mark, 'shared', '1') end
  limits(key, e)
  count_forgotten(key, e.id)
  index('all', e.id, e.order)
end

function make.reject(e, key)
  redis.call('HSET', key, 'status', 'rejected', 'task', e.task or '', 'args', e.args or '[]', 'kwargs', e.kwargs or '{}',
             'error', e.error, 'message', e.message, 'submitted_at', at, 'finished_at', at, 'order', e.order)
  index('all', e.id, e.order)
  index('rejected', e.id, string.format('%d', now))
end

function make.withdraw(e, key)                   -- a late message of it creates nothing; what stays answers late calls
  local rec = redis.call('HMGET', key, 'withdrawn', 'attempt')
  local names = rec[1] and rec[1] .. ' ' .. e.submitted_by or e.submitted_by
  if rec[2] and rec[2] ~= '0' then note_forgotten(e.id, rec[2]) end
  if indexed('registered', e.id) then index('registered', e.id) else redis.call('LREM', E .. 'ready', 1, e.id) end
  index('all', e.id)
  redis.call('DEL', key)
  redis.call('HSET', key, 'status', 'withdrawn', 'withdrawn', string.sub(names, -4000))
  redis.call('PEXPIRE', key, 3600000)
end

local function make_ready(id)                    -- its message has been read: whether it was only registered until now
  local was_registered = indexed('registered', id)
  if was_registered then
    index('registered', id)
    redis.call('RPUSH', E .. 'ready', id)
  end
  return was_registered
end

-- It is claimed, and its claim ends ------------------------------------------------------------------------------------

function make.take(e, key)
  claims = claims + 1
  redis.call('HSET', key, 'status', 'processing', 'worker_id', plain(e.worker), 'claim', e.worker .. ' ' .. token,
             'attempt', string.format('%d', e.attempt), 'started_at', at)
  index('processing', e.id, string.format('%d', (seq + 1) * 1000 + claims))
end

local FINISH = {'waiters', 'failures', 'claim', 'task'}

-- crashes   it ends because its process or worker died too often      lost   nobody holds the claim any more
local function finish(e, key, known)
  local rec = known or redis.call('HMGET', key, unpack(FINISH))
  if not rec[4] then return forget(e.id) end
  local fields = {'status', e.action, 'finished_at', e.finished_at or at}
  local function set(field, value) fields[#fields + 1] = field; fields[#fields + 1] = value end
  if e.result then set('result', e.result) else set('error', e.error) end
  if e.started_at then set('started_at', e.started_at) end
  if e.crashes then set('crashes', string.format('%d', e.crashes)) end
  if e.lost then set('claim', '') end
  if e.action == 'failed' and not e.crashes then set('failures', string.format('%d', tonumber(rec[2] or 0) + 1)) end
  redis.call('HSET', key, unpack(fields))
  if rec[1] then redis.call('HDEL', key, 'waiters') end
  if e.action == 'success' and rec[2] then redis.call('HDEL', key, 'error') end
  index('processing', e.id)
  index(e.action, e.id, string.format('%d', now))
  tell(rec[1], e.id)
end

make.success, make.failed = finish, finish

-- The attempt ends without an outcome, and the task goes back to the queue.
-- lost     nobody holds the claim any more: whoever settles it still is refused
-- begun    whether its handler was started: then the attempt goes into the history, else it never was; of what a lost
--          worker held nobody knows that for certain, so a reclaim is always an attempt
local function put_back(e, key)
  local rec = redis.call('HMGET', key, 'attempt', 'failures', 'crashes', 'claim', 'started_at', 'history', 'worker_id')
  if not rec[1] and redis.call('EXISTS', key) == 0 then return forget(e.id) end
  index('processing', e.id)
  local fields = {'status', 'queued'}
  local function set(field, value) fields[#fields + 1] = field; fields[#fields + 1] = value end
  if e.lost then set('claim', '') else set('settled', rec[4] or '') end
  if e.begun or e.action == 'reclaim' then
    set('history', remember(rec[6], {n = e.attempt, w = rec[7] or plain(e.worker), s = e.started_at or rec[5] or at,
                                     f = e.finished_at or at, o = e.action, r = e.reason}))
  elseif string.match(rec[4] or '', ' (%d+)%-%d+$') == generation then
    set('attempt', string.format('%d', e.attempt - 1))
  end                                            -- of an older generation Redis may have forgotten a start
  if e.action == 'retry' then set('failures', string.format('%d', tonumber(rec[2] or 0) + 1)) end
  if e.action == 'crash' or e.action == 'reclaim' and e.begun then
    set('crashes', string.format('%d', tonumber(rec[3] or 0) + 1))
  end
  if e.error then set('error', e.error) end
  if e.retry_at then set('retry_at', e.retry_at) end
  redis.call('HSET', key, unpack(fields))
  redis.call('HDEL', key, 'worker_id', 'started_at')
  if e.retry_at then
    index('delayed', e.id, string.format('%d', milliseconds(e.retry_at)))
  else
    returned[#returned + 1] = e.id
  end
end

make.retry, make.crash, make.reclaim, make.release = put_back, put_back, put_back, put_back

function make.refused(e, key)                    -- an outcome that came too late changes nothing
  local rec = redis.call('HMGET', key, 'status', 'attempt', 'history')
  if not rec[1] or rec[1] == 'withdrawn' or e.token_epoch then return end
  redis.call('HSET', key, 'refused', e.token, 'history',
    remember(rec[3], {n = tonumber(rec[2] or 0), w = plain(e.worker), s = e.started_at or at, f = at, o = 'refused',
                      r = e.kind .. ' came after the claim was gone'}))
end

function make.forgotten(e, key)                  -- a run that Redis does not know any more: its number is not used again
  local rec = redis.call('HMGET', key, 'task', 'attempt', 'history', 'status')
  if not rec[1] or rec[4] == 'processing' then   -- until its message comes; until the claim that stands has ended
    note_forgotten(e.id, string.format('%d', math.max(tonumber(forgotten_attempt(e.id) or 0), e.attempt)))
  else
    redis.call('HSET', key, 'attempt', string.format('%d', math.max(tonumber(rec[2] or 0), e.attempt)))
  end
  if not rec[1] then return end
  redis.call('HSET', key, 'forgotten', e.token, 'history',
    remember(rec[3], {n = e.attempt, w = plain(e.worker), s = at, f = at, o = 'forgotten', r = e.reason}))
end

-- It ends for good, or begins again ------------------------------------------------------------------------------------

-- Its process or worker died too often. lost: nobody holds the claim any more
local function give_up(id, attempt, crashes, reason, worker, lost)
  local failure = cjson.encode({type = 'TooManyCrashes', traceback = '',
    message = string.format('%s; it crashed %d times, and is not started again', reason, crashes)})
  transition({action = 'failed', id = id, attempt = attempt, worker = worker, error = failure, crashes = crashes,
              finished_at = at, lost = lost})
end

function make.requeue(e, key)                    -- a person starts a failed task again, with its history
  local rec = redis.call('HMGET', key, 'attempt', 'worker_id', 'started_at', 'finished_at', 'error', 'history', 'claim')
  if not rec[1] and not rec[5] then return end
  local readable, failure = pcall(cjson.decode, rec[5] or '{}')
  if not readable then                           -- half a character pair: cjson reads none
    failure = {type = 'unreadable', message = 'the reason cannot be shown'}
  end
  redis.call('HSET', key, 'status', 'queued', 'retried', e.request, 'settled', rec[7] or '', 'failures', '0',
    'crashes', '0', 'history',
    remember(rec[6], {n = tonumber(rec[1] or 0), w = rec[2] or '', s = rec[3] or '0', f = rec[4] or '0', o = 'failed',
                      r = (failure.type or '') .. ': ' .. (failure.message or '')}))
  redis.call('HDEL', key, 'worker_id', 'started_at', 'finished_at', 'error')
  index('failed', e.id)
  redis.call('RPUSH', E .. 'ready', e.id)
end

function make.expire(e, key, status)
  status = status or redis.call('HGET', key, 'status')
  if not status then return forget(e.id) end
  redis.call('UNLINK', key)
  index(status, e.id)
  index('all', e.id)
end

-- A reset: what was registered or published before is out of sight at once, what comes after is kept.
local function make_reset(event)
  local requests = redis.call('HGET', KEYS[1], 'resets') or ''
  local lines = {}
  for line in string.gmatch(requests, '[^\n]+') do lines[#lines + 1] = line end
  lines[#lines + 1] = string.format('%s %d %d %s', event.request, event.new_epoch, event.removed, token)
  while #lines > 16 do table.remove(lines, 1) end
  for partition, floor in pairs(event.floors or {}) do
    redis.call('HSET', P .. 'floors', partition, string.format('%d', floor))
  end
  redis.call('HSET', KEYS[1], 'epoch', string.format('%d', event.new_epoch), 'reset_in', string.match(token, '^%d+'),
             'resets', table.concat(lines, '\n'), 'sweep_cursor', '0', 'sweep_for', '')
  redis.call('RPUSH', P .. 'old', epoch)         -- tidy unlinks its keys in bounded steps
end

-- The topic is not any more what was read. anew: it is another one, and nothing that was stored holds of it.
-- keep: events before this one are missing, and what was read in between is read again; so nothing is passed over.
local function make_reposition(event, keep)
  if event.anew then redis.call('DEL', P .. 'positions', P .. 'floors') end
  if event.positions then redis.call('DEL', P .. 'reread') end     -- another message may have the offset now
  for partition, offset in pairs(event.positions or {}) do
    local stored = redis.call('HGET', P .. 'positions', partition)
    if not keep or stored and tonumber(stored) > offset then
      redis.call('HSET', P .. 'positions', partition, string.format('%d', offset))
    end
  end
  for partition, offset in pairs(event.floors or {}) do
    redis.call('HSET', P .. 'floors', partition, string.format('%d', offset))
  end
  redis.call('HSET', KEYS[1], 'topic', event.topic, 'edition', event.edition,
             'partitions', string.format('%d', event.partitions), 'reposition_request', event.request)
end

-- A worker was lost: its lease has lapsed, and nothing of it is left. tasks: the first that it held, where that is known.
local function make_lapse(lost, tasks)
  redis.call('ZREM', P .. 'leases', lost.worker)
  redis.call('SREM', P .. 'idle', lost.worker)
  local worker_key = P .. 'worker:' .. lost.worker
  if redis.call('EXISTS', worker_key) == 1 then redis.call('HSET', worker_key, 'state', 'offline') end
  local failure = {tasks = tasks}
  for field, value in pairs(lost) do failure[field] = value end
  redis.call('LPUSH', P .. 'failures', cjson.encode(failure))
  redis.call('LTRIM', P .. 'failures', 0, 999)
end
