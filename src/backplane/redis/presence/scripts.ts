import { defineScript, type Script } from "../scripts.ts";

// The graph of keys, for one bucket (alone, Redis has one). Nothing else is read or written by these scripts.
//
//   instances          zset   incarnation → end of its lease (ms); 0: it is being cleared away
//   cluster            hash   generation, lastbeat, run (of Redis), sweeper:<dead> (until when); after a loss: unsure (until when at
//                             most), expected (how many incarnations wrote before it), complete (how many again),
//                             back (it went back to an older state, and holds what was taken away since)
//   doubts             hash   after a loss: c<inc> → 1 once it is complete; m<place>\n<member> → the incarnation that
//                             was the first to add it since, or * if somebody held it before
//   owners             hash   incarnation → "<session> <instance>"; <inc>:number, <inc>:answer: its last batch
//   buried             hash   incarnation that was cleared away → "<number>\n<answer>" of its last batch
//   records:<inc>      hash   record → value: everything that incarnation states; what `recordId` makes
//     m<place>\n<member>        it holds a member          counted in  present:<place>
//     c<id>                     it holds a connection id    named in    connection:<id>
//     s<user>\n<connection>     it holds a user's place     listed in   seats:<user>
//   present:<place>    hash   member → how many incarnations hold it (never 0)
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
const LIVENESS = `
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

/** O(1) in what is stored; O(instances) only after a silence or a loss. */
export const BEAT: Script = defineScript(`#!lua flags=allow-oom
-- KEYS: 1 instances, 2 cluster, 3 owners, 4 buried, 5 records, 6 doubts
-- ARGV: 1 lease (ms), 2 incarnation, 3 owner, 4 generation it knows, 5 random, 6 number of the last batch it
--   knows to be taken, 7 for how long keys are kept (ms), 8 how many incarnations it knew, 9 which run of Redis this
--   is (or nothing)
-- Answers status, generation, expired incarnations (and 1 if it was buried before), ms until the next lease of
--   another ends (or -1), ms for which others may be missing, the time, number and answer of its last batch, how
--   many incarnations there are
${LIVENESS}
local own = ARGV[2]
local before = redis.call('HGET', KEYS[3], own)
-- Late, on a connection that was given up: nobody waits for the answer.
if before and tonumber(string.match(before, '^%d+')) > tonumber(string.match(ARGV[3], '^%d+')) then
  return redis.error_reply('ERR out of date')
end
local first = not generation
local stored = redis.call('HMGET', KEYS[3], own .. ':number', own .. ':answer')
local number, answer = tonumber(stored[1] or -1), stored[2] or ''
local score = redis.call('ZSCORE', KEYS[1], own)
local grave = not score and redis.call('HGET', KEYS[4], own)
if grave then
  number, answer = string.match(grave, '^(%-?%d+)\\n(.*)$')
  number = tonumber(number)
end
local behind = score and tonumber(score) > 0 and ARGV[4] == generation and number ~= tonumber(ARGV[6]) and number ~= ARGV[6] + 1
local lapsed = (score and not alive(own)) or grave or (not score and ARGV[4] == generation)
if lapsed and not behind then return {'lapsed', generation or '', {}, -1, 0, now, number, answer, 0} end
-- Another server, or a new start with what was saved: some of what was written last may be missing.
local run = redis.call('HGET', KEYS[2], 'run')
local moved = ARGV[9] ~= '' and run ~= ARGV[9]
if moved then redis.call('HSET', KEYS[2], 'run', ARGV[9]) end
behind = behind or (moved and run and not first)
if first or behind then
  generation = string.format('%.0f-%s', now, ARGV[5])
  redis.call('HSET', KEYS[2], 'generation', generation)
  redis.call('HDEL', KEYS[2], 'unsure', 'expected', 'complete', 'back')
  redis.call('DEL', KEYS[6])
  if behind then redis.call('HSET', KEYS[2], 'back', '1') end
end
local status = generation == ARGV[4] and 'kept' or 'emptied'
if status == 'emptied' and ARGV[4] ~= '' then
  -- There was more. Until all have written it again, or had the time to, nobody is dead, new or gone for sure.
  local from = tonumber(string.match(generation, '^%d+'))
  local expected = tonumber(redis.call('HGET', KEYS[2], 'expected') or 0)
  if tonumber(ARGV[8]) > expected then
    redis.call('HSET', KEYS[2], 'expected', ARGV[8], 'unsure', string.format('%.0f', from + ARGV[1]))
    unsure = math.max(0, from + ARGV[1] - now)
  end
  silent = silent or now - from < 1000
end
if unsure > 0 then
  -- By now everybody who is there has beaten, and said how many there were.
  local known = redis.call('HMGET', KEYS[2], 'expected', 'complete')
  local from = tonumber(string.match(generation, '^%d+'))
  local all = tonumber(known[2] or 0) >= tonumber(known[1] or 0)
  if all and now > from + ARGV[1] / 3 + 200 then
    redis.call('HDEL', KEYS[2], 'unsure')
    unsure = 0
  end
end
if silent then
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(0', '+inf')) do
    redis.call('ZADD', KEYS[1], now + ARGV[1], other)
  end
end
redis.call('HSET', KEYS[2], 'lastbeat', string.format('%.0f', now))
redis.call('ZADD', KEYS[1], now + ARGV[1], own)
redis.call('HSET', KEYS[3], own, ARGV[3])
if status == 'emptied' then redis.call('HSET', KEYS[3], own .. ':number', ARGV[6], own .. ':answer', '') end
for i = 1, 6 do redis.call('PEXPIRE', KEYS[i], ARGV[7]) end
local upcoming = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now), '+inf', 'WITHSCORES', 'LIMIT', 0, 2)
local nextend = -1
for i = 1, #upcoming, 2 do
  if nextend < 0 and upcoming[i] ~= own then nextend = upcoming[i + 1] - now end
end
local dead = {}
if unsure <= 0 then
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))) do
    local sweeper = 'sweeper:' .. other
    if tonumber(redis.call('HGET', KEYS[2], sweeper) or 0) <= now then
      redis.call('HSET', KEYS[2], sweeper, string.format('%.0f', now + 5000))
      dead[#dead + 1] = other
      dead[#dead + 1] = redis.call('HEXISTS', KEYS[4], other)
    end
  end
end
return {status, generation, dead, nextend, unsure, now, number, status == 'kept' and '' or answer,
  redis.call('ZCARD', KEYS[1])}
`);

/** Records, one after another; each says what it has come to, and one that fails harms no other. */
const APPLY_BODY = `
-- KEYS: 1 instances, 2 cluster, 3 owners, 4 records (of 6), 5 as-user changes, 6 doubts; then those of each change
-- ARGV: 1 lease (ms), 2 incarnation, 3 owner, 4 generation, 5 number of the batch, 6 whose records, 7 command that
--   publishes, 8 base of channels of changes, 9 for how long keys are kept (ms); then of each change: what, and
--   + place member value lost  KEYS present              - place member           KEYS present
--   O place member value lost  KEYS present, as-user     o place member           KEYS present, as-user
--   ? place member
--   c id restored              KEYS connection           C id                     KEYS connection
--   s user connection max full KEYS seats                S user connection        KEYS seats
--   u user room +/- version    KEYS present, as-user     (a room as a user; version 0: now)
-- Answers what each has come to, a line each; nil if fenced, 'alive' if whose records these are is not dead
${LIVENESS}
local own, whose = ARGV[2], ARGV[6]
local known = redis.call('HMGET', KEYS[3], own, own .. ':number')
if generation ~= ARGV[4] or known[1] ~= ARGV[3] or not alive(own) then return false end
local number = tonumber(known[2] or 0)
if number == tonumber(ARGV[5]) then return redis.call('HGET', KEYS[3], own .. ':answer') end
if number ~= ARGV[5] - 1 then return false end
if whose ~= own and alive(whose) then return 'alive' end
-- First of all writes: where there is no room, nothing is done.
redis.call('HSET', KEYS[3], own .. ':number', ARGV[5])
if whose ~= own then
  redis.call('ZADD', KEYS[1], 'XX', 0, whose)
  redis.call('HSET', KEYS[2], 'sweeper:' .. whose, string.format('%.0f', now + 5000))
end
local records, publish, channels, keep = KEYS[4], ARGV[7], ARGV[8], ARGV[9]
local function tell(place, text)
  if string.sub(place, 1, 6) ~= 'rooms:' then redis.pcall(publish, channels .. place, text) end
end
local function add(present, place, member, value, lost)
  local field = 'm' .. place .. '\\n' .. member
  local new = redis.call('HSET', records, field, value)
  local count = new == 1 and redis.pcall('HINCRBY', present, member, 1)
  if type(count) == 'table' then
    redis.call('HDEL', records, field)
    error(count)
  end
  redis.call('PEXPIRE', present, keep)
  if count == 1 then tell(place, '+' .. member) end
  if unsure == 0 then return count == 1 and '1' or '0' end
  -- Others who hold it may not have said so again; what is there may be of old; and who was first may not be able to
  -- tell it before all is lost again.
  local back = beaten[4]
  if lost == '1' then
    if back then redis.call('HSET', KEYS[6], field, '*') else redis.call('HDEL', KEYS[6], field) end
    return '0'
  end
  local doubt = redis.call('HGET', KEYS[6], field)
  if doubt == '*' or (not doubt and not back and count ~= 1) then return '0' end
  if not doubt then redis.call('HSET', KEYS[6], field, own) end
  return '?'
end
local function remove(present, place, member)
  if redis.call('HDEL', records, 'm' .. place .. '\\n' .. member) == 0 then return '0' end
  if redis.call('HINCRBY', present, member, -1) > 0 then return '0' end
  redis.call('HDEL', present, member)
  tell(place, '-' .. member)
  return '1'
end
local function claim(key, id, restored)
  local before = redis.call('GET', key)
  local other = before and before ~= own and alive(before) and before
  if other and restored == '1' then return '' end
  redis.call('SET', key, own, 'PX', keep)
  redis.call('HSET', records, 'c' .. id, '')
  return other and redis.call('HGET', KEYS[3], other) or ''
end
local function reserve(key, user, connection, max, full)
  local places = {}
  local seat = own .. ':' .. connection
  for _, place in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    if not alive(string.match(place, '^[^:]*')) then redis.call('ZREM', key, place)
    elseif place ~= seat then places[#places + 1] = place end
  end
  local over = max == '' and 0 or #places + 1 - max
  if over > 0 and full == 'reject' then return '0' end
  local reply = {'1'}
  for i = 1, over do
    redis.call('ZREM', key, places[i])
    reply[#reply + 1] = string.match(places[i], ':(.*)')
  end
  -- One after the newest, so that the order is that of asking, whatever the clock says.
  local newest = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]
  redis.call('ZADD', key, (newest or 0) + 1, seat)
  redis.call('PEXPIRE', key, keep)
  redis.call('HSET', records, 's' .. user .. '\\n' .. connection, '')
  return table.concat(reply, '\\t')
end
local function asuser(present, key, user, room, sign, version)
  if redis.call('HEXISTS', present, user) == 0 then return (unsure > 0 and '?' or '0') .. '\\t0' end
  local before = redis.call('HGET', key, room)
  local last = before and tonumber(string.sub(before, 2)) or 0
  version = tonumber(version)
  if version > 0 and version <= last then return '0\\t' .. string.format('%.0f', last) end
  local was = before and string.sub(before, 1, 1) or '-'
  if version == 0 then
    local all = redis.call('HGET', key, '')
    local highest = math.max(last, all and tonumber(all) or 0)
    -- Others may be about to write again what was there before a loss.
    if was == sign and (before or unsure == 0) then return '0\\t' .. string.format('%.0f', highest) end
    version = math.max(tonumber(time[1]) * 1000000 + tonumber(time[2]), highest + 1)
  end
  local text = string.format('%.0f', version)
  redis.call('HSET', key, room, sign .. text)
  local all = tonumber(redis.call('HGET', key, '') or 0)
  if version > all then redis.call('HSET', key, '', text) end
  redis.call('PEXPIRE', key, keep)
  redis.call('ZADD', KEYS[5], text, user)
  redis.call('PEXPIRE', KEYS[5], keep)
  return (was == sign and '0' or '1') .. '\\t' .. text
end
local function judge(place, member)
  local field = 'm' .. place .. '\\n' .. member
  local first = redis.call('HGET', KEYS[6], field)
  if not first or first == '*' then return '0' end
  -- Whoever was first tells it; is that one dead, whoever asks first.
  if unsure > 0 or (first ~= own and alive(first)) then return '?' end
  redis.call('HDEL', KEYS[6], field)
  return '1'
end
local function make(what, k, l, a, b, c, d)
  if what == '-' then return remove(k, a, b) end
  if what == '+' then return add(k, a, b, c, d) end
  if what == 'O' then
    local outcome = add(k, a, b, c, d)
    local rooms = redis.call('HGETALL', l)
    return #rooms == 0 and outcome or outcome .. '\\t' .. table.concat(rooms, '\\t')
  end
  if what == 'o' then
    local outcome = remove(k, a, b)
    if outcome == '1' and redis.call('DEL', l) == 1 then redis.call('ZREM', KEYS[5], b) end
    return outcome
  end
  if what == '?' then return judge(a, b) end
  if what == 'c' then return claim(k, a, b) end
  if what == 's' then return reserve(k, a, b, c, d) end
  if what == 'u' then return asuser(k, l, a, b, c, d) end
  if what == 'C' then
    redis.call('HDEL', records, 'c' .. a)
    if redis.call('GET', k) == whose then redis.call('DEL', k) end
    return ''
  end
  redis.call('HDEL', records, 's' .. a .. '\\n' .. b)
  redis.call('ZREM', k, whose .. ':' .. b)
  return '0'
end
local outcomes, key, arg = {}, 7, 10
while ARGV[arg] do
  local what, keys, args = ARGV[arg], 1, 2
  if what == '+' then args = 4
  elseif what == 'O' then keys, args = 2, 4
  elseif what == 'o' then keys = 2
  elseif what == '?' then keys = 0
  elseif what == 's' then args = 4
  elseif what == 'u' then keys, args = 2, 4
  elseif what == 'C' then args = 1 end
  local second = keys == 2 and KEYS[key + 1]
  local a, b, c, d = ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3], ARGV[arg + 4]
  local ok, outcome = pcall(make, what, KEYS[key], second, a, b, c, d)
  if not ok then outcome = 'E' .. tostring(type(outcome) == 'table' and outcome.err or outcome) end
  outcomes[#outcomes + 1] = outcome
  key, arg = key + keys, arg + 1 + args
end
local answer = table.concat(outcomes, '\\n')
redis.call('HSET', KEYS[3], own .. ':answer', answer)
return answer
`;

export const APPLY: Script = defineScript(APPLY_BODY);

/** For batches that free memory: they are taken when there is none. */
export const RELEASE: Script = defineScript(`#!lua flags=allow-oom\n${APPLY_BODY}`);

/** The last step of clearing away: until then it is told again that the incarnation is dead. */
export const DROP: Script = defineScript(`#!lua flags=allow-oom
-- KEYS: 1 instances, 2 owners, 3 buried, 4 cluster, 5 records
-- ARGV: 1 incarnation, 2 for how long it is known (ms), 3 '1' if it is dead, and not leaving
local last = redis.call('HMGET', KEYS[2], ARGV[1] .. ':number', ARGV[1] .. ':answer')
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1], ARGV[1] .. ':number', ARGV[1] .. ':answer')
redis.call('HDEL', KEYS[4], 'sweeper:' .. ARGV[1])
redis.call('DEL', KEYS[5])
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[3], ARGV[1], (last[1] or '0') .. '\\n' .. (last[2] or ''))
  redis.call('PEXPIRE', KEYS[3], ARGV[2])
end
return 1
`);

/**
 * The head of scripts that read: what the dead have left does not count. Whoever asks names the dead it knows of, and
 * their records; is there another one, it is told so, and asks again.
 */
const READ = `
${LIVENESS}
if not generation then return false end
local dead = silent and {} or redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local same = #dead == #KEYS - 3
for i, incarnation in ipairs(dead) do same = same and ARGV[i + 4] == incarnation end
if not same then return {-1, unpack(dead)} end
local function held(member, count)
  count = tonumber(count)
  for i = 4, #KEYS do
    if count > 0 then count = count - redis.call('HEXISTS', KEYS[i], 'm' .. ARGV[2] .. '\\n' .. member) end
  end
  return count > 0
end
`;

/** Whether a member is held by somebody alive. */
export const HAS: Script = defineScript(`
-- KEYS: 1 instances, 2 cluster, 3 present; then records of the dead
-- ARGV: 1 lease (ms), 2 place, 3 member, 4 (nothing); then the dead
-- Answers 0 and whether; -1 and the dead if there are others; nil when Redis is empty
${READ}
local count = redis.call('HGET', KEYS[3], ARGV[3])
return {0, count and held(ARGV[3], count) and 1 or 0}
`);

/** How many members a place has; -2 while some may be a dead incarnation's. */
export const COUNT: Script = defineScript(`
-- KEYS: 1 instances, 2 cluster, 3 present; then records of the dead
-- ARGV: 1 lease (ms), 2 place, 3 (nothing), 4 (nothing); then the dead
-- Answers 0 and the count; -1 and the dead if there are others; nil when Redis is empty
${READ}
return {0, #dead > 0 and -2 or redis.call('HLEN', KEYS[3])}
`);

/** A page of the members of a place. */
export const LIST: Script = defineScript(`
-- KEYS: 1 instances, 2 cluster, 3 present; then records of the dead
-- ARGV: 1 lease (ms), 2 place, 3 cursor, 4 about how many; then the dead
-- Answers 0, the next cursor and members; -1 and the dead if there are others; nil when Redis is empty
${READ}
local page = redis.call('HSCAN', KEYS[3], ARGV[3], 'COUNT', ARGV[4])
local found = {0, page[1]}
for i = 1, #page[2], 2 do
  if #dead == 0 or held(page[2][i], page[2][i + 1]) then found[#found + 1] = page[2][i] end
end
return found
`);

/** The living incarnations, with their instances. */
export const LIVING: Script = defineScript(`
-- KEYS: 1 instances, 2 cluster, 3 owners
-- ARGV: 1 lease (ms)
-- Answers incarnation and owner of each; nil when Redis is empty
${LIVENESS}
if not generation then return false end
local from = silent and '(0' or '(' .. string.format('%.0f', now)
local living = {}
for _, incarnation in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], from, '+inf')) do
  living[#living + 1] = incarnation
  living[#living + 1] = redis.call('HGET', KEYS[3], incarnation) or ''
end
return living
`);

/** What some incarnations say of a member. */
export const FIND: Script = defineScript(`
-- KEYS: records of each
-- ARGV: 1 record
-- Answers value or nothing for each
local found = {}
for i, key in ipairs(KEYS) do found[i] = redis.call('HGET', key, ARGV[1]) or false end
return found
`);

export const LOCATE: Script = defineScript(`
-- KEYS: 1 instances, 2 cluster, 3 owners, 4 connection
-- ARGV: 1 lease (ms)
-- Answers the owner that holds it, or an empty text; nil when Redis is empty
${LIVENESS}
if not generation then return false end
local holder = redis.call('GET', KEYS[4])
return holder and alive(holder) and redis.call('HGET', KEYS[3], holder) or ''
`);

/** The rooms of users as users. */
export const ROOMS: Script = defineScript(`
-- KEYS: as-user of each
-- Answers rooms and what holds of them, for each
local found = {}
for i, key in ipairs(KEYS) do found[i] = redis.call('HGETALL', key) end
return found
`);

/** An incarnation has written again what was lost. */
export const COMPLETE: Script = defineScript(`#!lua flags=allow-oom
-- KEYS: 1 cluster, 2 doubts
-- ARGV: 1 incarnation, 2 generation
if redis.call('HGET', KEYS[1], 'generation') ~= ARGV[2] then return 0 end
if redis.call('HSETNX', KEYS[2], 'c' .. ARGV[1], '1') == 0 then return 0 end
redis.call('HINCRBY', KEYS[1], 'complete', 1)
return 1
`);
