import { defineScript, type Script } from "../net/run.ts";
import { LIVENESS } from "./liveness.ts";

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
-- ARGV: 1 lease (ms), 2 'there' if those who have left users in grace do not count
-- Answers incarnation and owner of each; nil when Redis is empty
${LIVENESS}
if not generation then return false end
local from = silent and '(0' or '(' .. string.format('%.0f', now)
local living = {}
for _, incarnation in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], from, '+inf')) do
  if ARGV[2] ~= 'there' or redis.call('HEXISTS', KEYS[3], incarnation .. ':left') == 0 then
    living[#living + 1] = incarnation
    living[#living + 1] = redis.call('HGET', KEYS[3], incarnation) or ''
  end
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
