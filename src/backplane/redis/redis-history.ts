import { randomBytes } from "node:crypto";
import { parsePosition } from "../../history/position.ts";
import { BackplaneUnavailableError } from "../../protocol/errors.ts";
import { quote } from "../../protocol/names.ts";
import type { MessagePacket, Publication } from "../broker.ts";
import {
  BEGINNING,
  type HistoryEntry,
  type HistoryPage,
  type HistoryPolicy,
  type HistoryStore,
} from "../history-store.ts";
import type { Keys } from "./keys.ts";
import type { RedisBroker } from "./redis-broker.ts";
import { defineScript, type Scripts } from "./scripts.ts";
import { decodePacket } from "./wire.ts";

/**
 * Stores a message with its predecessor's position and publishes it. The end of the log is a key of its
 * own, which outlives the log: a room that fell quiet and expired goes on where it was.
 *
 * A position is `<stream id>~<nonce>`: the nonce tells an entry from one that a rolled-back Redis gave
 * the same id. If the channel may not be published to, the entry is stored all the same.
 */
const APPEND = defineScript(`
-- KEYS: log, log end
-- ARGV: packet, nonce, max length, log's ttl (ms), end's ttl (ms), channel, command that publishes
local prev = redis.call('GET', KEYS[2])
if not prev then
  local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
  prev = newest and (newest[1] .. '~' .. (newest[2][4] or '')) or '0'
end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', 'prev', prev, 'nonce', ARGV[2], 'packet', ARGV[1])
local position = id .. '~' .. ARGV[2]
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('SET', KEYS[2], position, 'PX', ARGV[5])
redis.pcall(ARGV[7], ARGV[6], ARGV[1])
return position
`);

/** At most so many entries after a position. */
const READ = defineScript(`
-- KEYS: log
-- ARGV: from (exclusive, or -), count
return redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
`);

/** How much longer than its log the end of a log is kept. */
const END_OUTLIVES = 2;

export class RedisHistory implements HistoryStore {
  readonly #keys: Keys;
  readonly #broker: RedisBroker;
  readonly #scripts: Scripts;

  constructor(keys: Keys, broker: RedisBroker, scripts: Scripts) {
    this.#keys = keys;
    this.#broker = broker;
    this.#scripts = scripts;
  }

  async append(
    room: string,
    packet: MessagePacket,
    policy: HistoryPolicy,
  ): Promise<Publication & { readonly id: string }> {
    const keys = [this.#keys.log(room), this.#keys.logEnd(room)];
    const { publishCommand } = this.#keys;
    const nonce = randomBytes(6).toString("base64url");
    const { maxLength, ttlMs } = policy;
    const limits = [maxLength, ttlMs, ttlMs * END_OUTLIVES].map(String);
    const { reply, publication } = await this.#broker.publishStored(
      `room:${room}`,
      packet,
      (channel, bytes) =>
        this.#scripts.run(APPEND, keys, [bytes, nonce, ...limits, channel, publishCommand]),
    );
    if (typeof reply !== "string") {
      throw new BackplaneUnavailableError("Redis gave an answer nobody understands.", "unknown");
    }
    return { ...publication, id: reply };
  }

  async read(room: string, since: string, limit: number): Promise<HistoryPage> {
    const position = parsePosition(since);
    if (position === null) throw new RangeError(`since is ${quote(since)}, which is no position.`);
    const from = since === BEGINNING ? "-" : `(${position.ms}-${position.sequence}`;
    const reply = await this.#scripts.runForBytes(
      READ,
      [this.#keys.log(room)],
      [from, String(limit + 1)],
    );
    const rows = Array.isArray(reply) ? reply : [];
    const entries = rows.slice(0, limit).flatMap((row) => toEntry(row) ?? []);
    const last = entries.at(-1);
    return { entries, ...(rows.length > limit && last !== undefined ? { next: last.id } : {}) };
  }
}

/** An entry as the script wrote it; null for one that somebody else did. */
function toEntry(row: unknown): HistoryEntry | null {
  if (!Array.isArray(row) || !Array.isArray(row[1])) return null;
  const [id, [, prev, , nonce, , bytes]] = row as [Buffer, Buffer[]];
  if (prev === undefined || nonce === undefined || bytes === undefined) return null;
  const packet = decodePacket(bytes)?.packet;
  if (packet?.type !== "message") return null;
  return { id: `${id}~${nonce}`, prev: prev.toString(), payload: packet.message };
}
