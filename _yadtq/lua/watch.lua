-- watch: which of these tasks have ended; for the others, the channel is told when they do. Nothing ends in between.
--
-- ARGV[1] -> channel   ARGV[2…] -> ids
-- Returns {'ok', word, …}   word   ended · waiting · absent

local words = {'ok'}
for i = 2, #ARGV do
  local key = E .. 'task:' .. ARGV[i]
  local rec = redis.call('HMGET', key, 'status', 'waiters')
  if not rec[1] or rec[1] == 'withdrawn' then
    words[i] = 'absent'
  elseif rec[1] ~= 'queued' and rec[1] ~= 'processing' then
    words[i] = 'ended'
  else
    words[i] = 'waiting'
    local channels, known = {}, false
    for channel in string.gmatch(rec[2] or '', '%S+') do
      known = known or channel == ARGV[1]
      channels[#channels + 1] = channel
    end
    if not known then
      channels[#channels + 1] = ARGV[1]
      while #channels > 20 do table.remove(channels, 1) end
      redis.call('HSET', key, 'waiters', table.concat(channels, ' '))
    end
  end
end
return words
