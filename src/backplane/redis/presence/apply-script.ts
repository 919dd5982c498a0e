import { defineScript, type Script } from "../net/run.ts";
import { LIVENESS } from "./liveness.ts";

/** Records, one after another; each says what it has come to, and one that fails harms no other. */
const BEGIN = `
-- KEYS: 1 instances, 2 cluster, 3 owners, 4 records (of 6), 5 as-user changes, 6 doubts, 7 told; then those of each change
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
`;

/** A dead one stays dead, and whoever clears it away goes on doing so. */
const CLAIM_DEAD = `
if whose ~= own then
  redis.call('ZADD', KEYS[1], 'XX', 0, whose)
  redis.call('HSET', KEYS[2], 'sweeper:' .. whose, string.format('%.0f', now + 5000))
end
local records, publish, channels, keep = KEYS[4], ARGV[7], ARGV[8], ARGV[9]
`;

const REMOVE = `
-- Of a room or those online; nobody watches the rooms of a user. 'present': of the place somebody left.
local function tell(place, text, present)
  if string.sub(place, 1, 6) == 'rooms:' then return end
  -- Each names the one before it: who compares these knows whether all have come.
  local before, this = 0, 0
  if present and redis.call('EXISTS', present) == 0 then
    before = tonumber(redis.call('HGET', KEYS[7], place) or 0)
    redis.call('HDEL', KEYS[7], place)
  else
    this = redis.call('HINCRBY', KEYS[7], place, 1)
    if this > 1 then before = this - 1
    else
      -- Another number than the place ever had.
      this = tonumber(time[1]) * 1000000 + tonumber(time[2])
      redis.call('HSET', KEYS[7], place, string.format('%.0f', this))
    end
  end
  redis.pcall(publish, channels .. place, string.format('%s\\n%.0f\\n%.0f', text, before, this))
end
local function remove(present, place, member)
  if redis.call('HDEL', records, 'm' .. place .. '\\n' .. member) == 0 then return '0' end
  if redis.call('HINCRBY', present, member, -1) > 0 then return '0' end
  redis.call('HDEL', present, member)
  tell(place, '-' .. member, present)
  return '1'
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
-- Nothing here takes memory.
local function release(what, k, l, a, b)
  if what == '-' then return remove(k, a, b) end
  if what == 'o' then
    local outcome = remove(k, a, b)
    if outcome == '1' and redis.call('DEL', l) == 1 then redis.call('ZREM', KEYS[5], b) end
    return outcome
  end
  if what == '?' then return judge(a, b) end
  if what == 'C' then
    redis.call('HDEL', records, 'c' .. a)
    if redis.call('GET', k) == whose then redis.call('DEL', k) end
    return ''
  end
  redis.call('HDEL', records, 's' .. a .. '\\n' .. b)
  redis.call('ZREM', k, whose .. ':' .. b)
  return '0'
end
`;

const ADD = `
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
  local holders = redis.call('HGET', present, user)
  if not holders then return (unsure > 0 and '?' or '0') .. '\\t0\\t0' end
  local before = redis.call('HGET', key, room)
  local last = before and tonumber(string.sub(before, 2)) or 0
  version = tonumber(version)
  if version > 0 and version <= last then return string.format('0\\t%.0f\\t', last) .. holders end
  local was = before and string.sub(before, 1, 1) or '-'
  if version == 0 then
    local all = redis.call('HGET', key, '')
    local highest = math.max(last, all and tonumber(all) or 0)
    -- Noted also where it changes nothing: what is of an earlier moment may come later.
    version = math.max(tonumber(time[1]) * 1000000 + tonumber(time[2]), highest + 1)
  end
  local text = string.format('%.0f', version)
  redis.call('HSET', key, room, sign .. text)
  local all = tonumber(redis.call('HGET', key, '') or 0)
  if version > all then redis.call('HSET', key, '', text) end
  redis.call('PEXPIRE', key, keep)
  redis.call('ZADD', KEYS[5], text, user)
  redis.call('PEXPIRE', KEYS[5], keep)
  return (was == sign and '0' or '1') .. '\\t' .. text .. '\\t' .. holders
end
local function make(what, k, l, a, b, c, d)
  if what == '+' then return add(k, a, b, c, d) end
  if what == 'O' then
    local outcome = add(k, a, b, c, d)
    local rooms = redis.call('HGETALL', l)
    return #rooms == 0 and outcome or outcome .. '\\t' .. table.concat(rooms, '\\t')
  end
  if what == 'c' then return claim(k, a, b) end
  if what == 's' then return reserve(k, a, b, c, d) end
  if what == 'u' then return asuser(k, l, a, b, c, d) end
  return release(what, k, l, a, b)
end
`;

/** Makes each change with `make`. */
const EACH = `
local outcomes, key, arg = {}, 8, 10
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
-- New keys; heartbeats renew them.
if number == 0 or unsure > 0 then
  redis.call('PEXPIRE', KEYS[4], keep)
  redis.call('PEXPIRE', KEYS[6], keep)
  redis.call('PEXPIRE', KEYS[7], keep)
end
local answer = table.concat(outcomes, '\\n')
`;

/** For any batch. The number is the first of all writes: where there is no room, nothing is done. */
export const APPLY: Script = defineScript(`${BEGIN}
redis.call('HSET', KEYS[3], own .. ':number', ARGV[5])
${CLAIM_DEAD}${REMOVE}${ADD}${EACH}
redis.call('HSET', KEYS[3], own .. ':answer', answer)
return answer
`);

/** For batches that free memory, taken also when there is none; such batches are most frequent, and this is shorter. */
export const RELEASE: Script = defineScript(`#!lua flags=allow-oom
${BEGIN}${CLAIM_DEAD}${REMOVE}
local make = release
${EACH}
redis.call('HSET', KEYS[3], own .. ':number', ARGV[5], own .. ':answer', answer)
return answer
`);
