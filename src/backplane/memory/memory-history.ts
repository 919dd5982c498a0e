import { EncodedMessage } from "../../protocol/encoded-message.ts";
import { BackplaneUnavailableError } from "../../protocol/errors.ts";
import { quote } from "../../protocol/names.ts";
import { parsePosition } from "../../protocol/position.ts";
import { randomText } from "../../protocol/random.ts";
import { BEGINNING, type Link } from "../../protocol/roomcast-v1.ts";
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
import { Expiring } from "./expiring.ts";
import type { MemoryBroker } from "./memory-broker.ts";
import { type LogEntry, memoryOf, RoomLog } from "./room-log.ts";

/** What a log takes of memory besides its entries, in bytes. */
const LOG_BYTES = 1024;

/** How many times longer than its log the end of a log is kept. */
const END_OUTLIVES = 2;

type Stored = Pick<MessagePacket, "message" | "except">;

interface Kept {
  readonly log: RoomLog<Stored>;
  readonly ttlMs: number;
}

/** The logs of all rooms, for everybody who shares a memory backplane. */
export class MemoryLogs {
  /** In the order of their last entry. */
  readonly #logs: Map<LogName, Kept> = new Map();
  /** The ends of logs that were forgotten: a room that fell quiet goes on where it was. */
  readonly #ends: Expiring = new Expiring();
  /** log and idempotency key, `joined` → position */
  readonly #keys: Expiring = new Expiring();
  readonly #maxBytes: number;
  #bytes = 0;

  /** `maxBytes`: what all logs together may take of memory. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Where all logs together are full, a log makes room among its own oldest entries: nobody's messages take those of
   * others away.
   *
   * @throws BackplaneUnavailableError if it has not enough of them: nothing was stored.
   */
  append(name: LogName, { message, except }: MessagePacket, policy: HistoryPolicy): Link {
    const now = Date.now();
    this.#expire(now);
    const known = this.find(name);
    const log = known ?? new RoomLog<Stored>(this.end(name));
    const bytes = message.data.length;
    const others = this.#bytes - (known === undefined ? 0 : LOG_BYTES + log.bytes) + LOG_BYTES;
    const left = this.#maxBytes - others;
    if (left < memoryOf(bytes)) {
      throw new BackplaneUnavailableError("The memory for history is full.", "not-stored");
    }
    const bounds = {
      maxLength: policy.maxLength,
      maxBytes: Math.min(policy.maxBytes ?? left, left),
    };
    const { id, prev } = log.append(
      { message: alone(message), except },
      bytes,
      bounds,
      now,
      randomText(6),
    );
    this.#bytes = others + log.bytes;
    this.#logs.delete(name);
    this.#logs.set(name, { log, ttlMs: policy.ttlMs });
    return { id, prev };
  }

  find(name: LogName): RoomLog<Stored> | undefined {
    const found = this.#logs.get(name);
    if (found === undefined) return undefined;
    if (found.log.writtenAt + found.ttlMs > Date.now()) return found.log;
    this.#drop(name, found);
    return undefined;
  }

  /** The position of the newest entry, also of a log that was forgotten a while ago. */
  end(name: LogName): string {
    return this.find(name)?.end ?? this.#ends.get(name) ?? BEGINNING;
  }

  /** The position of the message that had an idempotency key first. */
  positionOf(name: LogName, key: string): string | undefined {
    return this.#keys.get(joined(name, key));
  }

  remember(name: LogName, key: string, position: string): void {
    this.#keys.set(joined(name, key), position, IDEMPOTENCY_MS);
  }

  /** Looks only at the logs that are quiet longest: what is behind them is fresher. */
  #expire(now: number): void {
    for (const [name, kept] of this.#logs) {
      if (kept.log.writtenAt + kept.ttlMs > now) return;
      this.#drop(name, kept);
    }
  }

  #drop(name: LogName, { log, ttlMs }: Kept): void {
    this.#logs.delete(name);
    this.#bytes -= log.bytes + LOG_BYTES;
    this.#ends.set(name, log.end, ttlMs * END_OUTLIVES);
  }
}

/** The payload by itself: neither what was made of it to send it, nor the block of memory it was cut from. */
function alone({ data, binary }: EncodedMessage): EncodedMessage {
  const own = Buffer.allocUnsafeSlow(data.length);
  own.set(data);
  return new EncodedMessage({ data: own, binary });
}

/** One text for both, from which both can be told: either may have spaces. */
function joined(name: LogName, key: string): string {
  return `${name.length} ${name} ${key}`;
}

/** Has no replicas: `minReplicas` asks for nothing here. */
export class MemoryHistory implements HistoryStore {
  readonly #logs: MemoryLogs;
  readonly #broker: MemoryBroker;

  constructor(logs: MemoryLogs, broker: MemoryBroker) {
    this.#logs = logs;
    this.#broker = broker;
  }

  async append(
    log: LogName,
    packet: MessagePacket,
    policy: HistoryPolicy,
    idempotencyKey: string | null = null,
  ): Promise<Appended> {
    const first = idempotencyKey === null ? undefined : this.#logs.positionOf(log, idempotencyKey);
    if (first !== undefined) return { scope: "cluster", localRecipients: 0, id: first };
    const link = this.#logs.append(log, packet, policy);
    if (idempotencyKey !== null) this.#logs.remember(log, idempotencyKey, link.id);
    const { type, message, except } = packet;
    const { scope, localRecipients } = this.#broker.publishNow(log, {
      type,
      message,
      except,
      link,
    });
    return { scope, localRecipients, id: link.id };
  }

  async read(log: LogName, since: string, limit: number): Promise<HistoryPage> {
    const position = parsePosition(since);
    if (position === null) throw new RangeError(`since is ${quote(since)}, which is no position.`);
    const found = this.#logs.find(log);
    const rows = found?.after(position, limit, PAGE_BYTES) ?? [];
    const entries = rows.map(toEntry);
    const last = entries.at(-1);
    const next = last !== undefined && last.id !== found?.end ? { next: last.id } : {};
    return { entries, end: this.#logs.end(log), ...next };
  }

  async tail(log: LogName, limit: number, maxBytes: number): Promise<HistoryPage> {
    const found = this.#logs.find(log);
    const entries = (found?.tail(limit, maxBytes) ?? []).map(toEntry);
    return { entries, end: this.#logs.end(log) };
  }

  async follow(log: LogName): Promise<string> {
    void this.#broker.subscribe(log);
    return this.#logs.end(log);
  }

  async ends(logs: readonly FollowedLog[]): Promise<readonly string[]> {
    return logs.map(({ log }) => this.#logs.end(log));
  }
}

function toEntry({ id, prev, item }: LogEntry<Stored>): HistoryEntry {
  // Another one for each reader: what is made of it to send it is not kept with the log.
  return { id, prev, except: item.except, message: new EncodedMessage(item.message) };
}
