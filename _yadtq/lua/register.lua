-- register: the records of new tasks, before their messages are published.
--
-- ARGV[1] -> bound of the outbox   ARGV[2] -> epoch that the caller knows   ARGV[3] -> number of tasks; then for each:
--   id, task, args, kwargs, max_retries ('' the worker's), time_limit ('' the worker's), submission
--     submission   names this one submission: a repeated call is the same one
--
-- Returns {'ok', generation, epoch, seq, word, …}, or {'ok', generation, epoch, seq} when the epoch is another one:
-- what was refused before a reset is not known as refused after it (rule callepoch)
--   word   publish, with the mark of this call · publish <mark>, with that of its first registration (rule ownmark)
--          known (in the queue already, nothing to publish) · full (the outbox is at its bound)
--          conflict (another task has the id, or this very submission was withdrawn: a late call undoes no refusal)

if ARGV[2] ~= epoch then return {'ok', generation, epoch, string.format('%d', seq + 1)} end
local words, tasks = {}, {}
for a = 4, 3 + 7 * tonumber(ARGV[3]), 7 do
  tasks[#tasks + 1] = {id = ARGV[a], task = ARGV[a + 1], args = ARGV[a + 2], kwargs = ARGV[a + 3],
                       max_retries = ARGV[a + 4], time_limit = ARGV[a + 5], submission = ARGV[a + 6]}
end

local full = outbox_full(ARGV[1])                -- what exists is answered all the same: the call may be a repeated one
local order = redis.call('HINCRBY', KEYS[1], 'order', #tasks) - #tasks

local function was_withdrawn(t, names)           -- (rule tombstones)
  return names and string.find(' ' .. names .. ' ', ' ' .. t.submission .. ' ', 1, true)
end

local function create(n, t, status, withdrawn)
  if full then return 'full' end
  transition({
    action = 'register', id = t.id, task = t.task, args = t.args, kwargs = t.kwargs, submitted_by = t.submission,
    order = string.format('%d', order + n), withdrawn = withdrawn or nil,
    max_retries = t.max_retries ~= '' and t.max_retries or nil, time_limit = t.time_limit ~= '' and t.time_limit or nil},
    not status and 'new' or nil)
  return 'publish'
end

local function register(n, t)
  local key = E .. 'task:' .. t.id
  if redis.call('EXISTS', key) == 0 then return create(n, t) end
  local rec = redis.call('HMGET', key, 'status', 'task', 'args', 'kwargs', 'submitted_by', 'withdrawn', 'mark', 'shared')
  if was_withdrawn(t, rec[6]) then return 'conflict' end
  if not rec[1] or rec[1] == 'withdrawn' then return create(n, t, 'withdrawn', rec[6]) end
  if rec[2] ~= t.task or rec[3] ~= t.args or rec[4] ~= t.kwargs then return 'conflict' end
  if rec[5] ~= t.submission and not rec[8] then transition({action = 'share', id = t.id}) end
  if not indexed('registered', t.id) then return 'known' end
  return rec[7] == token and 'publish' or 'publish ' .. rec[7]
end

for n, t in ipairs(tasks) do words[n] = register(n, t) end
commit('register', 'client')
return {'ok', generation, epoch, string.format('%d', seq + 1), unpack(words)}
