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

/** Each connection is looked at this often for each of the times above, and at least every `MAX_CYCLE_MS`. */
const LOOKS = 20;
const MAX_CYCLE_MS = 500;
const MIN_CYCLE_MS = 10;

/**
 * Looks at every connection again and again: pings it once in `pingIntervalMs` and ends it when it stays silent
 * (4408), when its credential has expired (4401), or when it began a message and does not finish it (1008); and
 * lets its dialect look at what is due. One timer for all; a look costs some nanoseconds, and the pings are
 * spread over the interval, those of one look together, so that their answers come together too.
 */
export class Sweep {
  readonly #times: SweepTimes;
  readonly #connections: () => readonly ServerConnection[];
  readonly #failed: (error: unknown) => void;
  #timer: NodeJS.Timeout | null = null;

  constructor(
    times: SweepTimes,
    connections: () => readonly ServerConnection[],
    failed: (error: unknown) => void,
  ) {
    this.#times = times;
    this.#connections = connections;
    this.#failed = failed;
  }

  start(): void {
    if (this.#timer !== null) return;
    const { pingIntervalMs, pingTimeoutMs, messageTimeoutMs } = this.#times;
    const shortest = Math.min(pingIntervalMs ?? pingTimeoutMs, pingTimeoutMs, messageTimeoutMs);
    const cycleMs = Math.max(MIN_CYCLE_MS, Math.min(shortest / LOOKS, MAX_CYCLE_MS));
    const look = guarded(() => {
      // Whole numbers stay where they are; fractions would be an allocation for each connection.
      this.#look(Math.floor(performance.now()), Date.now());
    }, this.#failed);
    this.#timer = setInterval(look, cycleMs).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #look(now: number, date: number): void {
    const expiredBefore = date - this.#times.expiryGraceMs;
    const expired: ServerConnection[] = [];
    const silent: ServerConnection[] = [];
    const unfinished: ServerConnection[] = [];
    for (const connection of this.#connections()) {
      if (connection.expiresAt <= expiredBefore) expired.push(connection);
      else if (this.#isSilent(connection, now)) silent.push(connection);
      else if (this.#isUnfinished(connection, now)) unfinished.push(connection);
      else {
        this.#ping(connection, now);
        connection.dialect?.tick(now, date);
      }
    }
    // Closing takes connections out of the list that was walked.
    endAll(expired, CloseCode.unauthorized, "credential expired");
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
