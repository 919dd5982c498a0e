import { hostname } from "node:os";
import type { Hitter, RecentHitters } from "../meters/heavy-hitters.ts";
import type { Histogram } from "../meters/histogram.ts";
import { type LateBy, LoopDelay } from "../meters/loop-delay.ts";
import type { ConnectionManager } from "../server/connection-manager.ts";

/** How many names of each kind a report has. */
const MOST_NAMED = 10;

/** How values are spread: `counts` by upper `bounds`, in seconds; the last is above all. */
export interface Spread {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
}

/** A reader that has not taken what it was sent. */
export interface SlowReader {
  readonly connection: string;
  readonly user: string | null;
  readonly bytes: number;
}

/** What one instance says of itself once a second. What is counted grows from the start of the process. */
export interface InstanceReport {
  readonly type: "instance";
  readonly instance: string;
  readonly host: string;
  readonly pid: number;
  readonly uptimeMs: number;
  readonly status: string;
  readonly backplane: "memory" | "connected" | "away";
  readonly connections: number;
  readonly users: number;
  readonly rooms: number;
  readonly received: number;
  readonly delivered: number;
  readonly bytesSent: number;
  readonly bytesLaidOut: number;
  readonly bytesWaiting: number;
  readonly residentBytes: number;
  /** Of one core. */
  readonly cpuMs: number;
  readonly loopDelayMs: LateBy;
  readonly fanOut: Spread;
  readonly publish: Spread;
  readonly counts: {
    readonly accepted: number;
    readonly slowReaders: number;
    readonly rateLimited: number;
    readonly recovered: number;
    readonly lost: number;
    readonly gaps: number;
    readonly closed: Readonly<Record<string, number>>;
    readonly refused: Readonly<Record<string, number>>;
    readonly errors: Readonly<Record<string, number>>;
  };
  readonly hottestRooms: readonly Hitter[];
  readonly busiestUsers: readonly Hitter[];
  readonly slowestReaders: readonly SlowReader[];
}

/** Makes the reports of one instance. */
export class InstanceReporter {
  readonly #manager: ConnectionManager;
  readonly #hitters: { readonly rooms: RecentHitters; readonly users: RecentHitters };
  readonly #delay: LoopDelay = new LoopDelay();

  constructor(manager: ConnectionManager) {
    this.#manager = manager;
    this.#hitters = manager.counters.weigh();
  }

  report(): InstanceReport {
    const manager = this.#manager;
    const { counters, history, status } = manager;
    const { slowest, waiting } = this.#readers();
    const { user, system } = process.cpuUsage();
    const now = performance.now();
    return {
      type: "instance",
      instance: manager.instanceId,
      host: hostname(),
      pid: process.pid,
      uptimeMs: Math.round(now),
      status,
      backplane: this.#backplane(),
      connections: manager.connectionCount,
      users: manager.activeUsers.length,
      rooms: manager.roomCount,
      received: counters.received.text + counters.received.binary,
      delivered: Object.values(counters.sent).reduce((sum, count) => sum + count, 0),
      bytesSent: counters.bytesSent,
      bytesLaidOut: counters.bytesLaidOut,
      bytesWaiting: waiting,
      residentBytes: process.memoryUsage.rss(),
      cpuMs: Math.round((user + system) / 1000),
      loopDelayMs: this.#delay.take(),
      fanOut: spreadOf(counters.fanOutSeconds),
      publish: spreadOf(counters.publishSeconds),
      counts: {
        accepted: counters.connections,
        slowReaders: counters.slowReaders,
        rateLimited: counters.rateLimited,
        recovered: history.resumes.recovered,
        lost: history.resumes.lost,
        gaps: history.gaps,
        closed: Object.fromEntries(counters.closed),
        refused: Object.fromEntries(counters.refused),
        errors: Object.fromEntries(counters.failures),
      },
      hottestRooms: this.#hitters.rooms.top(MOST_NAMED, now),
      busiestUsers: this.#hitters.users.top(MOST_NAMED, now),
      slowestReaders: slowest,
    };
  }

  stop(): void {
    this.#delay.stop();
  }

  #backplane(): InstanceReport["backplane"] {
    if (this.#manager.config.redisUrl === null) return "memory";
    return this.#manager.status === "degraded" ? "away" : "connected";
  }

  #readers(): { slowest: SlowReader[]; waiting: number } {
    let waiting = 0;
    const slow: SlowReader[] = [];
    for (const { id, userId, bufferedAmount } of this.#manager.connections()) {
      if (bufferedAmount === 0) continue;
      waiting += bufferedAmount;
      slow.push({ connection: id, user: userId ?? null, bytes: bufferedAmount });
    }
    slow.sort((a, b) => b.bytes - a.bytes);
    return { slowest: slow.slice(0, MOST_NAMED), waiting };
  }
}

function spreadOf({ bounds, counts }: Histogram): Spread {
  return { bounds, counts: [...counts] };
}
