-- withdraw: a submission whose acknowledgement did not come. Refused means that it never runs.
--
-- ARGV[1] -> id   ARGV[2] -> submission   ARGV[3] -> epoch and ARGV[4] -> generation of its registration ('' unknown)
--
-- Returns {'ok', word}   word   refused · acknowledged (claimed or ended) · unknown (everything else)

local id, name = ARGV[1], ARGV[2]
local rec = redis.call('HMGET', E .. 'task:' .. id, 'status', 'submitted_by', 'shared', 'claim', 'withdrawn', 'mark')
local names = ' ' .. (rec[5] or '') .. ' '
if ARGV[3] ~= '' and ARGV[3] ~= epoch then return {'ok', 'unknown'} end
local older = ARGV[4] ~= '' and ARGV[4] ~= generation                    -- what happened since is not known for certain
if string.find(names, ' ' .. name .. ' ', 1, true) then return {'ok', older and 'unknown' or 'refused'} end
if rec[2] ~= name or rec[3] then return {'ok', 'unknown'} end
if rec[1] ~= 'queued' or rec[4] then return {'ok', 'acknowledged'} end
if older or string.match(rec[6], '^%d+') ~= generation then return {'ok', 'unknown'} end      -- rules withdrawgen, keepold

transition({action = 'withdraw', id = id, submitted_by = name})
commit('withdraw', 'client')
return {'ok', 'refused'}
