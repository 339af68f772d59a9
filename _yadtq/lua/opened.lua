-- After the prelude, in every script but those that lead Redis back: the queue is open on this very server, as it runs
-- now. A server that was restarted, or that took another's place, may have forgotten something.

if head[7] ~= run then return {'restarted'} end
