import { defineScript, type Script } from "../net/run.ts";
import { LIVENESS } from "./liveness.ts";

/** O(1) in what is stored; O(instances) only after a silence or a loss. */
export const BEAT: Script = defineScript(`#!lua flags=allow-oom
-- KEYS: 1 instances, 2 cluster, 3 owners, 4 buried, 5 records, 6 doubts, 7 told
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
  local leases = redis.call('ZRANGEBYSCORE', KEYS[1], '(0', '+inf', 'WITHSCORES')
  for i = 1, #leases, 2 do
    -- One that has left may have longer; but not by a clock that was wrong.
    if now < lastbeat or tonumber(leases[i + 1]) < now + ARGV[1] then
      redis.call('ZADD', KEYS[1], now + ARGV[1], leases[i])
    end
  end
end
redis.call('HSET', KEYS[2], 'lastbeat', string.format('%.0f', now))
redis.call('ZADD', KEYS[1], now + ARGV[1], own)
redis.call('HSET', KEYS[3], own, ARGV[3])
if status == 'emptied' then redis.call('HSET', KEYS[3], own .. ':number', ARGV[6], own .. ':answer', '') end
for i = 1, 7 do redis.call('PEXPIRE', KEYS[i], ARGV[7]) end
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

/** An incarnation has written again what was lost. */
export const COMPLETE: Script = defineScript(`#!lua flags=allow-oom
-- KEYS: 1 cluster, 2 doubts
-- ARGV: 1 incarnation, 2 generation
if redis.call('HGET', KEYS[1], 'generation') ~= ARGV[2] then return 0 end
if redis.call('HSETNX', KEYS[2], 'c' .. ARGV[1], '1') == 0 then return 0 end
redis.call('HINCRBY', KEYS[1], 'complete', 1)
return 1
`);

/** An incarnation has left, and those it holds have so much time to come back elsewhere. */
export const LAPSE: Script = defineScript(`#!lua flags=allow-oom
-- KEYS: 1 instances, 2 owners
-- ARGV: 1 incarnation, 2 when its lease ends (ms from now)
local time = redis.call('TIME')
local lease = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
-- A dead one stays dead.
if lease == 0 then return 0 end
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZADD', KEYS[1], 'XX', string.format('%.0f', now + ARGV[2]), ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1] .. ':left', '1')
return 1
`);

/** The last step of clearing away: until then it is told again that the incarnation is dead. */
export const DROP: Script = defineScript(`#!lua flags=allow-oom
-- KEYS: 1 instances, 2 owners, 3 buried, 4 cluster, 5 records
-- ARGV: 1 incarnation, 2 for how long it is known (ms), 3 '1' if it is dead, and not leaving
local last = redis.call('HMGET', KEYS[2], ARGV[1] .. ':number', ARGV[1] .. ':answer')
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1], ARGV[1] .. ':number', ARGV[1] .. ':answer', ARGV[1] .. ':left')
redis.call('HDEL', KEYS[4], 'sweeper:' .. ARGV[1])
redis.call('DEL', KEYS[5])
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[3], ARGV[1], (last[1] or '0') .. '\\n' .. (last[2] or ''))
  redis.call('PEXPIRE', KEYS[3], ARGV[2])
end
return 1
`);
