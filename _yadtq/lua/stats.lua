-- stats: how much of everything there is, at one instant.
--
-- Returns {'ok', epoch, generation, registered, ready, delayed, processing, success, failed, rejected, outbox,
--          {partition, next offset, …}}

local function size(name) return redis.call('ZCARD', E .. name) end
return {'ok', epoch, generation, size('registered'), redis.call('LLEN', E .. 'ready'), size('delayed'), size('processing'),
        size('success'), size('failed'), size('rejected'), redis.call('XLEN', P .. 'events'),
        redis.call('HGETALL', P .. 'positions')}
