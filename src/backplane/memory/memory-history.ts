import { randomBytes } from "node:crypto";
import { parsePosition } from "../../history/position.ts";
import { RoomLog } from "../../history/room-log.ts";
import { quote } from "../../protocol/names.ts";
import type { Broker, MessagePacket, Publication } from "../broker.ts";
import type { HistoryPage, HistoryPolicy, HistoryStore } from "../history-store.ts";

/** All logs together take at most this many bytes of payload; the room that is quiet longest goes first. */
const MAX_BYTES = 256 * 1024 * 1024;

/** The logs of all rooms, for everybody who shares a memory backplane. */
export class MemoryLogs {
  /** In the order of their last entry. */
  readonly #rooms: Map<string, { readonly log: RoomLog; readonly ttlMs: number }> = new Map();
  #bytes = 0;

  append(room: string, packet: MessagePacket, policy: HistoryPolicy): { id: string; prev: string } {
    const now = Date.now();
    const log = this.find(room) ?? new RoomLog();
    const before = log.bytes;
    const nonce = randomBytes(6).toString("base64url");
    const { id, prev } = log.append(packet.message, policy.maxLength, now, nonce);
    this.#bytes += log.bytes - before;
    this.#rooms.delete(room);
    this.#rooms.set(room, { log, ttlMs: policy.ttlMs });
    this.#evict(now);
    return { id, prev };
  }

  find(room: string): RoomLog | undefined {
    const found = this.#rooms.get(room);
    if (found === undefined) return undefined;
    if (found.log.writtenAt + found.ttlMs > Date.now()) return found.log;
    this.#drop(room, found.log);
    return undefined;
  }

  /** Looks only at the rooms that are quiet longest: what is behind them is fresher. */
  #evict(now: number): void {
    for (const [room, { log, ttlMs }] of this.#rooms) {
      if (this.#bytes <= MAX_BYTES && log.writtenAt + ttlMs > now) return;
      this.#drop(room, log);
    }
  }

  #drop(room: string, log: RoomLog): void {
    this.#rooms.delete(room);
    this.#bytes -= log.bytes;
  }
}

export class MemoryHistory implements HistoryStore {
  readonly #logs: MemoryLogs;
  readonly #broker: Broker;

  constructor(logs: MemoryLogs, broker: Broker) {
    this.#logs = logs;
    this.#broker = broker;
  }

  async append(
    room: string,
    packet: MessagePacket,
    policy: HistoryPolicy,
  ): Promise<Publication & { readonly id: string }> {
    const { id } = this.#logs.append(room, packet, policy);
    const publication = await this.#broker.publish(`room:${room}`, packet);
    return { ...publication, id };
  }

  async read(room: string, since: string, limit: number): Promise<HistoryPage> {
    const position = parsePosition(since);
    if (position === null) throw new RangeError(`since is ${quote(since)}, which is no position.`);
    const found = this.#logs.find(room)?.after(position, limit + 1) ?? [];
    const entries = found.slice(0, limit);
    const last = entries.at(-1);
    return { entries, ...(found.length > limit && last !== undefined ? { next: last.id } : {}) };
  }
}
