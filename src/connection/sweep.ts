import { CloseCode } from "../protocol/close-codes.ts";
import { guarded } from "../protocol/guarded.ts";
import type { ServerConnection } from "./server-connection.ts";

/** What is kept to the clock, in milliseconds. */
export interface SweepTimes {
  /** How often each connection is pinged; null: never. */
  readonly pingIntervalMs: number | null;
  /** How long after a ping a connection may be silent. */
  readonly pingTimeoutMs: number;
  /** How long a message may take from its first byte to its last. */
  readonly messageTimeoutMs: number;
  /** How long after a credential expired its connection is closed. */
  readonly expiryGraceMs: number;
}

/** Every connection is looked at this often for each of the times above, and at least every `MAX_CYCLE_MS`. */
const LOOKS = 20;
const MAX_CYCLE_MS = 1000;
const MIN_CYCLE_MS = 10;
/** Those with something of their own to wait for are looked at at least this often. */
const MAX_PRESSING_MS = 500;

/**
 * Looks at every connection again and again: pings it once in `pingIntervalMs` and ends it when it stays silent
 * (4408) or when it began a message and does not finish it (1008); and, more often, at those whose credential ends
 * (4401) or whose dialect has something to wait for. Two timers for all; a look costs some nanoseconds, and the pings
 * are spread over the interval, those of one look together, so that their answers come together too.
 */
export class Sweep {
  readonly #times: SweepTimes;
  readonly #connections: () => readonly ServerConnection[];
  readonly #failed: (error: unknown) => void;
  /** Those with a credential that ends, or a dialect. */
  readonly #pressing: Set<ServerConnection> = new Set();
  #timers: readonly NodeJS.Timeout[] = [];

  constructor(
    times: SweepTimes,
    connections: () => readonly ServerConnection[],
    failed: (error: unknown) => void,
  ) {
    this.#times = times;
    this.#connections = connections;
    this.#failed = failed;
  }

  /** A connection was made. */
  add(connection: ServerConnection): void {
    const { dialect, expiresAt } = connection;
    if (dialect !== null || expiresAt < Number.POSITIVE_INFINITY) this.#pressing.add(connection);
    if (this.#timers.length === 0) this.#start();
  }

  /** A connection is about to end. */
  delete(connection: ServerConnection): void {
    this.#pressing.delete(connection);
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
  }

  #start(): void {
    const { pingIntervalMs, pingTimeoutMs, messageTimeoutMs } = this.#times;
    const shortest = Math.min(pingIntervalMs ?? pingTimeoutMs, pingTimeoutMs, messageTimeoutMs);
    const cycleMs = Math.max(MIN_CYCLE_MS, Math.min(shortest / LOOKS, MAX_CYCLE_MS));
    // Whole numbers stay where they are; fractions would be an allocation for each connection.
    const lookAtAll = guarded(() => this.#lookAtAll(Math.floor(performance.now())), this.#failed);
    const lookAtPressing = guarded(() => this.#lookAtPressing(), this.#failed);
    this.#timers = [
      setInterval(lookAtAll, cycleMs).unref(),
      setInterval(lookAtPressing, Math.min(cycleMs, MAX_PRESSING_MS)).unref(),
    ];
  }

  #lookAtPressing(): void {
    const [now, date] = [performance.now(), Date.now()];
    const expiredBefore = date - this.#times.expiryGraceMs;
    for (const connection of this.#pressing) {
      // A set may be changed while it is walked.
      if (connection.expiresAt <= expiredBefore) {
        connection.endFirmly(CloseCode.unauthorized, "credential expired");
      } else connection.dialect?.tick(now, date);
    }
  }

  #lookAtAll(now: number): void {
    const silent: ServerConnection[] = [];
    const unfinished: ServerConnection[] = [];
    for (const connection of this.#connections()) {
      if (this.#isSilent(connection, now)) silent.push(connection);
      else if (this.#isUnfinished(connection, now)) unfinished.push(connection);
      else this.#ping(connection, now);
    }
    // Closing takes connections out of the list that was walked.
    endAll(silent, CloseCode.timeout, "no pong");
    endAll(unfinished, CloseCode.policyViolation, "message not finished");
  }

  #ping(connection: ServerConnection, now: number): void {
    const { pingIntervalMs } = this.#times;
    if (pingIntervalMs === null || now < connection.nextPingAt) return;
    if (connection.nextPingAt === 0) {
      // New here: its first ping comes somewhere in the interval, so that pings do not come in bursts.
      connection.nextPingAt = now + Math.ceil(Math.random() * pingIntervalMs);
      return;
    }
    connection.nextPingAt = now + pingIntervalMs;
    if (connection.pingedAt === 0) connection.pingedAt = now;
    connection.pongsAwaited++;
    connection.transport.ping();
  }

  #isSilent(connection: ServerConnection, now: number): boolean {
    if (connection.pingedAt === 0 || now - connection.pingedAt < this.#times.pingTimeoutMs)
      return false;
    // While we hold up a client, its pongs wait with its messages; in the middle of a frame it can send none
    // (RFC 6455 section 5.5), and how long that may take is a limit of its own. Silence proves nothing then.
    if (!connection.paused && !connection.transport.isReceiving) return true;
    connection.pingedAt = now;
    return false;
  }

  #isUnfinished(connection: ServerConnection, now: number): boolean {
    // While we hold up a client, its message is not late.
    if (connection.paused || !connection.transport.isReceiving) connection.receivingSince = 0;
    else if (connection.receivingSince === 0) connection.receivingSince = now;
    else return now - connection.receivingSince >= this.#times.messageTimeoutMs;
    return false;
  }
}

function endAll(connections: readonly ServerConnection[], code: number, reason: string): void {
  for (const connection of connections) connection.endFirmly(code, reason);
}
