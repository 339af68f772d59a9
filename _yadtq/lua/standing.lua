-- standing: how far the queue has read, and in which topic.
--
-- Returns {'ok', id of the topic ('' not known yet), edition, partitions, {partition, next offset, …},
--          {partition, floor, …}}

local read = redis.call('HMGET', KEYS[1], 'topic', 'edition', 'partitions')
return {'ok', read[1] or '', read[2] or '', read[3] or '0', redis.call('HGETALL', P .. 'positions'),
        redis.call('HGETALL', P .. 'floors')}
