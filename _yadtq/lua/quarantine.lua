-- What open, beat, confirm and leave share: the end of the quarantine. It lasts until every worker that was registered
-- when Redis came back has confirmed what it holds, or has lapsed.

local function end_quarantine(clock)
  for _, worker in ipairs(redis.call('SMEMBERS', P .. 'unconfirmed')) do
    local lease = redis.call('ZSCORE', P .. 'leases', worker)
    if not lease or tonumber(lease) <= clock then redis.call('SREM', P .. 'unconfirmed', worker) end
  end
  if redis.call('SCARD', P .. 'unconfirmed') > 0 then return end
  redis.call('HDEL', KEYS[1], 'mode')
  for _ = 1, redis.call('SCARD', P .. 'idle') do wake(1) end
end
