-- The opening of every script: who it speaks to, what time it is, and how a transition is written down.
--
-- KEYS[1]    -> {namespace}:meta   hash: protocol, generation, epoch, seq, order, clock, clock_at, run, mode, …
-- ARGV[last] -> run id of the server, as the connection learned it; the scripts' own arguments stand before it
--
-- All other keys are built from its prefix P (the queue) or E (the queue since its last reset); all lie in one slot.
-- A script answers a list whose first word is 'ok', or 'missing', 'newer', 'restarted', 'quarantine', 'full', 'stale',
-- 'lapsed', 'outdated'.

local P = string.sub(KEYS[1], 1, -5)
local run = table.remove(ARGV)
local head = redis.call('HMGET', KEYS[1], 'protocol', 'generation', 'epoch', 'seq', 'clock', 'clock_at', 'run', 'mode')
if not head[2] then return {'missing'} end
if tonumber(head[1]) > 1 then return {'newer', head[1]} end

local generation, epoch, seq = head[2], head[3], tonumber(head[4])
local quarantine = head[8] == 'quarantine'       -- workers have not yet all said what they hold: nothing is handed out
local E = P .. epoch .. ':'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function instant(ms)                       -- milliseconds -> '1755103784.123'
  return string.format('%d.%03d', math.floor(ms / 1000), ms % 1000)
end

local at = instant(now)

-- One call, one number: it names the call's event in the outbox and is the token of every claim that the call makes.
local token = generation .. '-' .. string.format('%d', seq + 1)
local transitions = {}                           -- of this call, in order

-- Changes of the sorted indexes gather here and are written together: a command costs Redis more than what it adds. The
-- last word on an id counts. Whoever reads an index asks `indexed`, or writes first what has gathered.
local gathered = {}                              -- index -> id -> score, or false: removed

local function index(name, id, score)
  local changes = gathered[name]
  if not changes then
    changes = {}
    gathered[name] = changes
  end
  changes[id] = score or false
end

local scores = {}                                -- id -> score or false, where it is known: of `scores_of`
local scores_of = nil                            -- an index

local function look_up(name, first, last)        -- all at once, before `indexed` is asked for ids that are arguments
  local found = redis.call('ZMSCORE', E .. name, unpack(ARGV, first, last))
  scores, scores_of = {}, name
  for i = first, last do scores[ARGV[i]] = found[i - first + 1] end
end

local function indexed(name, id)                 -- its score
  local change = gathered[name] and gathered[name][id]
  if change ~= nil then return change end
  if scores_of == name and scores[id] ~= nil then return scores[id] end
  return redis.call('ZSCORE', E .. name, id)
end

local function in_steps(command, key, values)    -- unpack bears some thousands
  for first = 1, #values, 1000 do
    redis.call(command, key, unpack(values, first, math.min(first + 999, #values)))
  end
end

local function write_indexes()
  for name, changes in pairs(gathered) do
    local added, removed = {}, {}
    for id, score in pairs(changes) do
      if score then
        added[#added + 1] = score
        added[#added + 1] = id
      else
        removed[#removed + 1] = id
      end
    end
    in_steps('ZREM', E .. name, removed)
    in_steps('ZADD', E .. name, added)
  end
  gathered, scores_of = {}, nil
end

-- Last step of a script that changed something: the outbox gets one entry a call, in the same instant as the change.
-- The relay adds the generation in which it sends it.
local function commit(script, actor, more)
  write_indexes()
  if #transitions == 0 and not more then return end
  local event = more or {}
  event.seq, event.epoch, event.at, event.script, event.actor = seq + 1, tonumber(epoch), at, script, actor
  if #transitions > 0 then event.tasks = transitions end
  redis.call('HSET', KEYS[1], 'seq', string.format('%d', seq + 1))
  redis.call('XADD', P .. 'events', token, 'event', cjson.encode(event))
end

local function outbox_full(bound)
  return redis.call('XLEN', P .. 'events') >= tonumber(bound)
end

-- The clock of all leases. It gains at most a second a call: an outage or a step of the clock lapses nobody's lease.
local function clock_now()
  return tonumber(head[5]) + math.max(0, math.min(1000, now - tonumber(head[6])))
end

local function lease_clock()                     -- the same, and it goes on from there
  local clock = clock_now()
  redis.call('HSET', KEYS[1], 'clock', string.format('%d', clock), 'clock_at', string.format('%d', now))
  return clock
end

-- A lease ends on a whole millisecond. One that its owner cannot renew ends on a half (rule grace).
local function holds_lease(incarnation, clock)
  local lease = tonumber(redis.call('ZSCORE', P .. 'leases', incarnation) or 0)
  return lease > clock and lease % 1 == 0
end

local function lease_in_grace(incarnation, clock, lease_ms)      -- a missing lease is not a lapsed one
  local lease = string.format('%d.5', clock + lease_ms)
  redis.call('ZADD', P .. 'leases', lease, incarnation)
  return lease
end

local function wake(count)                       -- tells idle workers that tasks are ready
  local wanted = math.min(count, 8)
  while wanted > 0 do
    local worker = redis.call('SPOP', P .. 'idle')
    if not worker then return end
    wanted = wanted - redis.call('PUBLISH', P .. 'wake:' .. worker, 'ready')     -- 0: it is gone
  end
end

local function plain(incarnation)                -- 'worker1~x7Yp23ab' -> 'worker1'
  return string.match(incarnation, '^(.*)~') or incarnation
end
