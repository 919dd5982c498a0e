// The graph of keys, for one bucket (alone, Redis has one). Nothing else is read or written by these scripts.
//
//   instances          zset   incarnation → end of its lease (ms); 0: it is being cleared away
//   cluster            hash   generation, lastbeat, run (of Redis), sweeper:<dead> (until when); after a loss: unsure (until when at
//                             most), expected (how many incarnations wrote before it), complete (how many again),
//                             back (it went back to an older state, and holds what was taken away since)
//   doubts             hash   after a loss: c<inc> → 1 once it is complete; m<place>\n<member> → the incarnation that
//                             was the first to add it since, or * if somebody held it before
//   owners             hash   incarnation → "<session> <instance>"; <inc>:number, <inc>:answer: its last batch;
//                             <inc>:left → 1 if it has left users in grace
//   buried             hash   incarnation that was cleared away → "<number>\n<answer>" of its last batch
//   records:<inc>      hash   record → value: everything that incarnation states; what `recordId` makes
//     m<place>\n<member>        it holds a member          counted in  present:<place>
//     c<id>                     it holds a connection id    named in    connection:<id>
//     s<user>\n<connection>     it holds a user's place     listed in   seats:<user>
//   present:<place>    hash   member → how many incarnations hold it (never 0)
//   told               hash   place → number of the last change of it that was published; the first one's is the
//                             time (µs). Absent while it is empty
//   connection:<id>    string incarnation
//   seats:<user>       zset   <inc>:<connection>, in the order of asking
//   as-user:<user>     hash   room → +<version> or -<version> (joined, left)
//   as-user-changes    zset   user → version of the last change of their rooms

/**
 * The head of every script that asks who is alive.
 *
 * An incarnation is alive until its lease ends, by the clock of Redis. But when nobody has beaten for
 * half a lease, or the clock jumped, Redis was away or frozen and nobody could renew: then all count as
 * alive, and the first to beat renews every lease. Otherwise the first one back would clear away the
 * others. A lease of 0 is that of a dead one that is being cleared away; there is no return from that.
 */
export const LIVENESS = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local beaten = redis.call('HMGET', KEYS[2], 'generation', 'lastbeat', 'unsure', 'back')
local generation, lastbeat = beaten[1], tonumber(beaten[2] or now)
local unsure = math.max(0, tonumber(beaten[3] or 0) - now)
local silent = now < lastbeat or now - lastbeat > ARGV[1] / 2
local function alive(incarnation)
  local lease = tonumber(redis.call('ZSCORE', KEYS[1], incarnation) or 0)
  return lease > now or (silent and lease > 0)
end
`;
