-- register: the records of new tasks, before their messages are published.
--
-- ARGV[1] -> bound of the outbox   ARGV[2] -> number of tasks; then for each:
--   id, task, args, kwargs, max_retries ('' the worker's), time_limit ('' the worker's), submission
--     submission   names this one submission: a repeated call is the same one
--
-- Returns {'ok', generation, epoch, seq, word, …}
--   word   publish · known (in the queue already, nothing to publish) · conflict (another task has the id, or this
--          very submission was withdrawn: a call that comes late undoes no refusal) · full (the outbox is at its bound)

local words, tasks = {}, {}
for a = 3, 2 + 7 * tonumber(ARGV[2]), 7 do
  tasks[#tasks + 1] = {id = ARGV[a], task = ARGV[a + 1], args = ARGV[a + 2], kwargs = ARGV[a + 3],
                       max_retries = ARGV[a + 4], time_limit = ARGV[a + 5], submission = ARGV[a + 6]}
end

local function is_new(t, status, submission)     -- no record, or the tombstone of another submission
  return not status or status == 'withdrawn' and submission ~= t.submission
end

local full = outbox_full(ARGV[1])                -- what exists is answered all the same: the call may be a repeated one
local order = redis.call('HINCRBY', KEYS[1], 'order', #tasks) - #tasks

local function create(n, t, key)
  redis.call('DEL', key)                         -- the tombstone of a withdrawn one
  local number = string.format('%d', order + n)
  redis.call('HSET', key, 'status', 'queued', 'task', t.task, 'args', t.args, 'kwargs', t.kwargs, 'submitted_at', at,
             'submitted_by', t.submission, 'order', number, 'mark', token)
  if t.max_retries ~= '' then redis.call('HSET', key, 'max_retries', t.max_retries) end
  if t.time_limit ~= '' then redis.call('HSET', key, 'time_limit', t.time_limit) end
  redis.call('ZADD', E .. 'all', number, t.id)
  redis.call('ZADD', E .. 'registered', string.format('%d', now), t.id)
  note('register', t.id, {task = t.task, submitted_by = t.submission})
  return 'publish'
end

local function register(n, t)
  local key = E .. 'task:' .. t.id
  local rec = redis.call('HMGET', key, 'status', 'task', 'args', 'kwargs', 'submitted_by')
  if is_new(t, rec[1], rec[5]) then return full and 'full' or create(n, t, key) end
  if rec[2] ~= t.task or rec[3] ~= t.args or rec[4] ~= t.kwargs then return 'conflict' end
  if rec[5] ~= t.submission then redis.call('HSET', key, 'shared', '1') end    -- nobody can withdraw it any more
  return redis.call('ZSCORE', E .. 'registered', t.id) and 'publish' or 'known'
end

for n, t in ipairs(tasks) do words[n] = register(n, t) end
commit('register', 'client')
return {'ok', generation, epoch, string.format('%d', seq + 1), unpack(words)}
