import { randomBytes } from "node:crypto";
import { BackplaneUnavailableError } from "../../protocol/errors.ts";
import { quote } from "../../protocol/names.ts";
import { parsePosition } from "../../protocol/position.ts";
import { BEGINNING } from "../../protocol/roomcast-v1.ts";
import type { MessagePacket } from "../contract/broker.ts";
import {
  type Appended,
  type FollowedLog,
  type HistoryEntry,
  type HistoryPage,
  type HistoryPolicy,
  type HistoryStore,
  IDEMPOTENCY_MS,
  type LogName,
  PAGE_BYTES,
} from "../contract/history-store.ts";
import type { EchoBroker } from "../core/echo-broker.ts";
import { decodePacket, LINK_MARK } from "../core/wire.ts";
import type { Keys } from "./keys.ts";
import { defineScript, isReply, type Scripts } from "./net/run.ts";

/** What an entry takes in Redis besides its packet, in bytes: its fields, and its part of the stream. */
const ENTRY_BYTES = 128;
/** How many entries a log may have over its length before it is trimmed. */
const SPARE = 100;

/** What the scripts below begin with: where a log ends. The newest entry tells where the key is lost. */
const END = `
local function endOfLog(log, key)
  local position = redis.call('GET', key)
  if position then return position end
  local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  if not newest then return '0' end
  -- One that somebody else wrote has no nonce, or none that is one.
  local nonce = newest[2][4] or ''
  return newest[1] .. '~' .. (#nonce <= 32 and string.match(nonce, '^[%w_-]+$') or 'x')
end
`;

/**
 * Stores a message with its predecessor's position and publishes it. The end of the log is a key of its
 * own, which outlives the log: a room that fell quiet and expired goes on where it was.
 *
 * A position is `<stream id>~<nonce>`: the nonce tells an entry from one that a rolled-back Redis gave
 * the same id. If the channel may not be published to, the entry is stored all the same.
 */
const APPEND = defineScript(`${END}
-- KEYS: log, log end, log's bytes, and the idempotency key if there is one
-- ARGV: packet, nonce, max length, log's ttl (ms), end's ttl (ms), channel,
--       command that publishes, link mark, idempotency window (ms), max bytes
if KEYS[4] then
  local first = redis.call('GET', KEYS[4])
  if first then return {first, 0} end
end
local prev = endOfLog(KEYS[1], KEYS[2])
local id = redis.call('XADD', KEYS[1], '*', 'prev', prev, 'nonce', ARGV[2], 'packet', ARGV[1])
local position = id .. '~' .. ARGV[2]
local length, size = redis.call('XLEN', KEYS[1]), #ARGV[1] + ${ENTRY_BYTES}
-- One that somebody deleted, or an older version began, is counted from what it is now.
if length == 1 then redis.call('DEL', KEYS[3])
elseif redis.call('EXISTS', KEYS[3]) == 0 then
  local counted = redis.pcall('MEMORY', 'USAGE', KEYS[1], 'SAMPLES', 0)
  size = type(counted) == 'number' and counted or size * length
end
local bytes, most, room = redis.call('INCRBY', KEYS[3], size), tonumber(ARGV[3]), tonumber(ARGV[10])
if bytes > room or length > most + ${SPARE} then
  -- A bit more than needed, so that not every append trims; few at a time, since they may be large.
  if bytes > room then room = room - math.floor(room / 16) end
  while length > 1 and (bytes > room or length > most) do
    local freed = 0
    for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', math.min(length - 1, 8))) do
      if bytes - freed <= room and length <= most then break end
      freed = freed + #(entry[2][6] or '') + ${ENTRY_BYTES}
      length = length - redis.call('XDEL', KEYS[1], entry[1])
    end
    bytes = redis.call('DECRBY', KEYS[3], freed)
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[3], ARGV[4])
redis.call('SET', KEYS[2], position, 'PX', ARGV[5])
if KEYS[4] then redis.call('SET', KEYS[4], position, 'PX', ARGV[9]) end
redis.pcall(ARGV[7], ARGV[6], ARGV[8] .. position .. ' ' .. prev .. '\\n' .. ARGV[1])
return {position, 1}
`);

/**
 * At most so many entries after a position, and no more once they have so many bytes; where the log ends; and
 * whether there are more.
 */
const READ = defineScript(`${END}
-- KEYS: log, log end
-- ARGV: from (exclusive, or -), count, bytes
local limit, bytes = tonumber(ARGV[2]), tonumber(ARGV[3])
local entries, size, from, more = {}, 0, ARGV[1], 0
while more == 0 do
  local page = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', math.min(limit + 1 - #entries, 32))
  if #page == 0 then break end
  for _, entry in ipairs(page) do
    if #entries >= limit or size >= bytes then
      more = 1
      break
    end
    entries[#entries + 1] = entry
    size = size + #(entry[2][6] or '')
    from = '(' .. entry[1]
  end
end
return {endOfLog(KEYS[1], KEYS[2]), entries, more}
`);

/** The newest entries, newest first, and where the log ends. */
const TAIL = defineScript(`${END}
-- KEYS: log, log end
-- ARGV: limit, bytes
local limit, bytes = tonumber(ARGV[1]), tonumber(ARGV[2])
local entries, size, before = {}, 0, '+'
while #entries < limit and size < bytes do
  local page = redis.call('XREVRANGE', KEYS[1], before, '-', 'COUNT', math.min(limit - #entries, 32))
  if #page == 0 then break end
  for _, entry in ipairs(page) do
    if size >= bytes then break end
    entries[#entries + 1] = entry
    size = size + #(entry[2][6] or '')
    before = '(' .. entry[1]
  end
end
return {endOfLog(KEYS[1], KEYS[2]), entries}
`);

/** Where logs end; somebody listens, so that is remembered for longer. One that cannot be read harms no other. */
const RENEW_ENDS = defineScript(`${END}
-- KEYS: log, log end; and so on
-- ARGV: end's ttl (ms) of each
-- Answers a position for each, or an empty text
local ends = {}
for i, ttl in ipairs(ARGV) do
  local ok, position = pcall(endOfLog, KEYS[i * 2 - 1], KEYS[i * 2])
  redis.call('PEXPIRE', KEYS[i * 2], ttl)
  ends[i] = ok and position or ''
end
return ends
`);

/** How many times longer than its log the end of a log is kept. */
const END_OUTLIVES = 2;

export class RedisHistory implements HistoryStore {
  readonly #keys: Keys;
  readonly #broker: EchoBroker;
  readonly #scripts: Scripts;

  constructor(keys: Keys, broker: EchoBroker, scripts: Scripts) {
    this.#keys = keys;
    this.#broker = broker;
    this.#scripts = scripts;
  }

  async append(
    log: LogName,
    packet: MessagePacket,
    policy: HistoryPolicy,
    idempotencyKey: string | null = null,
  ): Promise<Appended> {
    const keys = [...this.#keysOf(log), this.#keys.logBytes(log)];
    if (idempotencyKey !== null) keys.push(this.#keys.idempotency(log, idempotencyKey));
    const { publishCommand } = this.#keys;
    const nonce = randomBytes(6).toString("base64url");
    const { maxLength, maxBytes = Number.MAX_SAFE_INTEGER, ttlMs, minReplicas = 0 } = policy;
    const limits = [maxLength, ttlMs, ttlMs * END_OUTLIVES].map(String);
    const { outcome, publication } = await this.#broker.publishStored(
      log,
      packet,
      async (channel, bytes) => {
        const published = [channel, publishCommand, LINK_MARK, String(IDEMPOTENCY_MS)];
        const args = [bytes, nonce, ...limits, ...published, String(maxBytes)];
        const reply = await this.#scripts
          .runReplicated(APPEND, keys, args, minReplicas)
          .catch(refused);
        return toOutcome(reply);
      },
    );
    return { ...publication, id: outcome.id };
  }

  async read(log: LogName, since: string, limit: number): Promise<HistoryPage> {
    const position = parsePosition(since);
    if (position === null) throw new RangeError(`since is ${quote(since)}, which is no position.`);
    const from = since === BEGINNING ? "-" : `(${position.ms}-${position.sequence}`;
    const args = [from, String(limit), String(PAGE_BYTES)];
    const reply = await this.#scripts.runForBytes(READ, this.#keysOf(log), args);
    const { rows, end, more } = toRows(reply);
    const entries = rows.flatMap((row) => toEntry(row) ?? []);
    const last = entries.at(-1);
    const next = more && last !== undefined ? { next: last.id } : {};
    return { entries, end, ...next };
  }

  async tail(log: LogName, limit: number, maxBytes: number): Promise<HistoryPage> {
    const args = [String(limit), String(maxBytes)];
    const reply = await this.#scripts.runForBytes(TAIL, this.#keysOf(log), args);
    const { rows, end } = toRows(reply);
    return { entries: rows.flatMap((row) => toEntry(row) ?? []).reverse(), end };
  }

  async follow(log: LogName, policy: HistoryPolicy): Promise<string | null> {
    let end: string | null = null;
    try {
      // Before subscribing, so that nothing falls between the two.
      const [found] = await this.ends([{ log, policy }]);
      // Rejects with the reason why nobody can tell.
      end = found ?? (await this.tail(log, 0, 0)).end;
    } catch (error) {
      if (!(error instanceof BackplaneUnavailableError)) throw error;
    } finally {
      await this.#broker.subscribe(log);
    }
    return end;
  }

  async ends(logs: readonly FollowedLog[]): Promise<readonly (string | null)[]> {
    const ends: (string | null)[] = logs.map(() => null);
    const buckets = new Map<number, number[]>();
    for (const [index, { log }] of logs.entries()) {
      const bucket = this.#keys.bucketFor(log);
      buckets.set(bucket, [...(buckets.get(bucket) ?? []), index]);
    }
    const ask = async (indexes: readonly number[]): Promise<void> => {
      const asked = indexes.flatMap((index) => logs[index] ?? []);
      const keys = asked.flatMap(({ log }) => this.#keysOf(log));
      const args = asked.map(({ policy }) => String(policy.ttlMs * END_OUTLIVES));
      const found = (await this.#scripts.run(RENEW_ENDS, keys, args)) as string[];
      for (const [i, index] of indexes.entries()) ends[index] = found[i] || null;
    };
    await Promise.all([...buckets.values()].map(ask));
    return ends;
  }

  #keysOf(log: LogName): string[] {
    return [this.#keys.log(log), this.#keys.logEnd(log)];
  }
}

/** What Redis refuses before it has written anything was not stored, whatever the reason. */
function refused(error: unknown): never {
  if (!isReply(error)) throw error;
  const message = `Redis did not store the message: ${error.message}`;
  throw new BackplaneUnavailableError(message, "not-stored", { cause: error });
}

function toOutcome(reply: unknown): { id: string; published: boolean } {
  const [id, published] = Array.isArray(reply) ? reply : [];
  if (typeof id === "string") return { id, published: published === 1 };
  throw new BackplaneUnavailableError("Redis gave an answer nobody understands.", "unknown");
}

function toRows(reply: unknown): { rows: readonly unknown[]; end: string; more: boolean } {
  const [end, rows, more] = Array.isArray(reply) ? reply : [];
  return {
    rows: Array.isArray(rows) ? rows : [],
    end: end === undefined ? BEGINNING : `${end}`,
    more: more === 1,
  };
}

/** An entry as the script wrote it; null for one that somebody else did. */
function toEntry(row: unknown): HistoryEntry | null {
  if (!Array.isArray(row) || !Array.isArray(row[1])) return null;
  const [id, [, prev, , nonce, , bytes]] = row as [Buffer, Buffer[]];
  if (prev === undefined || nonce === undefined || bytes === undefined) return null;
  const packet = decodePacket(bytes)?.packet;
  if (packet?.type !== "message") return null;
  const { message, except } = packet;
  return { id: `${id}~${nonce}`, prev: prev.toString(), message, except };
}
