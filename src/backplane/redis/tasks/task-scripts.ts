import { defineScript, type Script } from "../net/run.ts";

/**
 * Owns the tasks that no worker has: those that failed, or were handed back. A consumer name like any
 * other to Redis, but none an instance can have.
 */
const NOBODY = "{nobody}";

// A task is a stream entry with the field `data`, so that XADD from any language adds one. After its return
// from the dead it is another entry, which says in `origin` what it was called before.
//
// The group's pending list says who has an entry, since when, and how often it was delivered. A delivery is
// the entry with its count: whoever had it before has a lower count.

/** The head of every script that is about deliveries. */
const HOLDING = `
-- KEYS: 1 stream, 2 errors, 3 dead, 4 dead index
-- ARGV: 1 group, 2 consumer
local function holding(entry, attempt)
  local found = redis.call('XPENDING', KEYS[1], ARGV[1], entry, entry, 1)[1]
  if not found then return 'gone' end
  if found[2] == ARGV[2] and found[4] == tonumber(attempt) then return 'held' end
  return 'lost'
end
local function forget(entry)
  redis.call('XACK', KEYS[1], ARGV[1], entry)
  redis.call('XDEL', KEYS[1], entry)
  redis.call('HDEL', KEYS[2], entry)
end
-- Answers the task's id. Above 'most' letters the oldest go.
local function bury(entry, fields, attempts, reason, most)
  local data, id = nil, entry
  for i = 1, #fields, 2 do
    if fields[i] == 'data' then data = fields[i + 1] end
    if fields[i] == 'origin' then id = fields[i + 1] end
  end
  -- Written by hand, an origin may be anything.
  if redis.call('HEXISTS', KEYS[4], id) == 1 then id = entry end
  -- What has no data shall not seem to have some after a retry.
  local letter = redis.call('XADD', KEYS[3], '*', 'id', id, data and 'data' or 'raw',
    data or cjson.encode(fields), 'attempts', attempts, 'error', reason)
  redis.call('HSET', KEYS[4], id, letter)
  forget(entry)
  for _ = 1, math.min(redis.call('XLEN', KEYS[3]) - most, 100) do
    local oldest = redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', 1)[1]
    redis.call('XDEL', KEYS[3], oldest[1])
    if redis.call('HGET', KEYS[4], oldest[2][2]) == oldest[1] then redis.call('HDEL', KEYS[4], oldest[2][2]) end
  end
  return id
end
`;

/** Answers the id, or false if the queue is full. */
export const ADD: Script = defineScript(`
-- KEYS: 1 stream, 2 once (if there is an idempotency key)
-- ARGV: 1 data, 2 max length, 3 how long to remember the idempotency key (ms)
local known = KEYS[2] and redis.call('GET', KEYS[2])
if known then return known end
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[2]) then return false end
local id = redis.call('XADD', KEYS[1], '*', 'data', ARGV[1])
if KEYS[2] then redis.call('SET', KEYS[2], id, 'PX', ARGV[3]) end
return id
`);

/**
 * Takes over what was silent too long, and buries what has used up its deliveries. XAUTOCLAIM would
 * not tell how often something was delivered. Answers the entries taken over with their attempt, what was
 * buried, and whether there may be more.
 */
export const SWEEP: Script = defineScript(`${HOLDING}
-- KEYS: 5 who looked last
-- ARGV: 3 visibility (ms), 4 max deliveries, 5 how many to take over at most, 6 max dead letters,
--   7 for how long nobody else looks (ms)
-- All that is pending is gone through to find what is silent: it is enough if one of the workers does.
if not redis.call('SET', KEYS[5], ARGV[2], 'NX', 'PX', ARGV[7]) then return {{}, {}, 0} end
local limit = ARGV[5] + 100
local silent = redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[3], '-', '+', limit)
local taken, buried = {}, {}
for _, row in ipairs(silent) do
  local entry, deliveries = row[1], row[4]
  if deliveries >= tonumber(ARGV[4]) then
    local found = redis.call('XRANGE', KEYS[1], entry, entry)[1]
    if found then
      local before = redis.call('HGET', KEYS[2], entry)
      local reason = 'No worker finished it.' .. (before and (' Before that: ' .. before) or '')
      table.insert(buried, {bury(entry, found[2], deliveries, reason, tonumber(ARGV[6])), reason})
    else
      forget(entry)
    end
  elseif #taken < tonumber(ARGV[5]) then
    -- Nothing is claimed, and the pending entry removed, if somebody deleted it.
    local claimed = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, entry)[1]
    if claimed then table.insert(taken, {entry, deliveries + 1, claimed[2]}) end
  end
end
local more = #silent == limit or #taken == tonumber(ARGV[5])
if more then redis.call('DEL', KEYS[5]) end
return {taken, buried, more and 1 or 0}
`);

/**
 * Forgets consumers that were silent for long and hold nothing: XGROUP DELCONSUMER discards what is held.
 * Looking for new tasks in vain is silence to Redis 7.0, but reading one's own is not, even where there are none.
 */
export const TIDY: Script = defineScript(`
-- KEYS: 1 stream
-- ARGV: 1 group, 2 consumer, 3 how long is long (ms)
local last = '18446744073709551615-0'
redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 1, 'STREAMS', KEYS[1], last)
for _, row in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #row, 2 do consumer[row[i]] = row[i + 1] end
  if consumer.pending == 0 and consumer.idle > tonumber(ARGV[3]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
  end
end
`);

/** A sign of life: resets how long the deliveries were silent. Answers a holding for each. */
export const EXTEND: Script = defineScript(`${HOLDING}
-- ARGV: 3 entry, 4 attempt, and so on
local answers = {}
for i = 3, #ARGV, 2 do
  local state = holding(ARGV[i], ARGV[i + 1])
  if state == 'held' then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
  end
  table.insert(answers, state)
end
return answers
`);

/** Answers the holding of each delivery, before it was forgotten. */
export const ACKNOWLEDGE: Script = defineScript(`${HOLDING}
-- ARGV: 3 entry, 4 attempt, and so on
local answers = {}
for i = 3, #ARGV, 2 do
  local state = holding(ARGV[i], ARGV[i + 1])
  if state == 'held' then forget(ARGV[i]) end
  table.insert(answers, state)
end
return answers
`);

/** Answers waiting, dead or lost. */
export const FAIL: Script = defineScript(`${HOLDING}
-- ARGV: 3 entry, 4 attempt, 5 error, 6 max deliveries (0: it is final), 7 max dead letters
if holding(ARGV[3], ARGV[4]) ~= 'held' then return 'lost' end
if tonumber(ARGV[4]) < tonumber(ARGV[6]) then
  redis.call('HSET', KEYS[2], ARGV[3], ARGV[5])
  redis.call('XCLAIM', KEYS[1], ARGV[1], '${NOBODY}', 0, ARGV[3], 'JUSTID')
  return 'waiting'
end
local found = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])[1]
if not found then
  forget(ARGV[3])
  return 'lost'
end
bury(ARGV[3], found[2], ARGV[4], ARGV[5], tonumber(ARGV[7]))
return 'dead'
`);

/**
 * Hands back what a consumer has without knowing it, because the answer was lost that brought it. Nobody
 * began it, so it does not count as a delivery.
 */
export const RELEASE: Script = defineScript(`
-- KEYS: 1 stream
-- ARGV: 1 group, 2 consumer, 3 visibility (ms), then what it knows of: entry, attempt, and so on
local known = {}
for i = 4, #ARGV, 2 do known[ARGV[i] .. ' ' .. ARGV[i + 1]] = true end
for _, row in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', #ARGV + 1000, ARGV[2])) do
  if not known[row[1] .. ' ' .. row[4]] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], '${NOBODY}', 0, row[1],
      'IDLE', ARGV[3], 'RETRYCOUNT', row[4] - 1, 'JUSTID')
  end
end
`);

/** Hands back whatever a consumer has, due at once, and forgets the consumer. */
export const LEAVE: Script = defineScript(`
-- KEYS: 1 stream
-- ARGV: 1 group, 2 consumer, 3 visibility (ms)
repeat
  local held = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1000, ARGV[2])
  for _, row in ipairs(held) do
    redis.call('XCLAIM', KEYS[1], ARGV[1], '${NOBODY}', 0, row[1], 'IDLE', ARGV[3], 'JUSTID')
  end
until #held == 0
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
`);

/** Answers how many are not done, how many of these workers have, how many are dead, and the oldest entry. */
export const COUNT: Script = defineScript(`
-- KEYS: 1 stream, 2 dead
-- ARGV: 1 group
local inwork = 0
-- Before anybody has worked here there is no group.
local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1])
for _, consumer in ipairs(pending[4] or {}) do
  if consumer[1] ~= '${NOBODY}' then inwork = inwork + consumer[2] end
end
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
return {redis.call('XLEN', KEYS[1]), inwork, redis.call('XLEN', KEYS[2]), oldest and oldest[1] or ''}
`);

/** Takes a task from the dead, and puts it back into the queue if it is to be tried again. */
export const EXHUME: Script = defineScript(`
-- KEYS: 1 stream, 2 dead, 3 dead index
-- ARGV: 1 id, 2 whether to try it again (1 or 0)
local letter = redis.call('HGET', KEYS[3], ARGV[1])
if not letter then return 0 end
redis.call('HDEL', KEYS[3], ARGV[1])
local found = redis.call('XRANGE', KEYS[2], letter, letter)[1]
if not found then return 0 end
redis.call('XDEL', KEYS[2], letter)
if ARGV[2] == '1' then
  redis.call('XADD', KEYS[1], '*', found[2][3], found[2][4], 'origin', ARGV[1])
end
return 1
`);
