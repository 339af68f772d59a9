-- reposition: the topic is not any more what was read: it was made anew, cut, or has more partitions. The only script
-- that lowers a position. What was read before is of another edition then, and not admitted any more.
--
-- ARGV[1] -> names this one request: a repeated call is the same one
-- ARGV[2] -> edition and ARGV[3] -> id of the topic that the caller has seen stored
-- ARGV[4] -> id of the topic that Kafka has, and ARGV[5] -> number of its partitions
-- ARGV[6] -> number of changes; then for each:
--   'position' or 'floor', partition, stored offset that the caller has seen ('' none), offset that takes its place
--
-- Returns {'ok', 'moved' or 'known', edition}
--   known   it is not as the caller has seen it: another one was faster, or the call comes late. Nothing was changed

local read = redis.call('HMGET', KEYS[1], 'topic', 'edition', 'partitions', 'reposition_request')
local topic, edition = read[1] or '', read[2] or ''
if read[4] == ARGV[1] then return {'ok', 'moved', edition} end
if edition ~= ARGV[2] or topic ~= ARGV[3] then return {'ok', 'known', edition} end

local anew = topic ~= '' and topic ~= ARGV[4]    -- then nothing that is stored holds of it
local offsets, moved = {position = {}, floor = {}}, anew
for a = 7, 6 + 4 * tonumber(ARGV[6]), 4 do
  local kind, partition, before, after = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]
  if anew or (redis.call('HGET', P .. kind .. 's', partition) or '') == before then
    offsets[kind][partition] = tonumber(after)
    moved = moved or kind == 'position' and before ~= ''
  end
end
local positions, floors = next(offsets.position) and offsets.position, next(offsets.floor) and offsets.floor
if not (topic ~= ARGV[4] or tonumber(ARGV[5]) > tonumber(read[3] or 0) or positions or floors) then
  return {'ok', 'known', edition}
end

local event = {action = 'reposition', request = ARGV[1], topic = ARGV[4], partitions = tonumber(ARGV[5]),
               edition = moved and token or edition, anew = anew or nil, positions = positions or nil,
               floors = floors or nil}
make_reposition(event)
commit('reposition', 'reader', event)
return {'ok', 'moved', event.edition}
