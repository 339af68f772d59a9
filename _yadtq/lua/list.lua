-- list: ids, newest first.
--
-- ARGV[1] -> status or ''   ARGV[2] -> first place, from 0   ARGV[3] -> how many
-- Returns {'ok', epoch, id, …}

return {'ok', epoch, unpack(ids_at(ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])))}
