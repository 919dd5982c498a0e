import { CloseCode } from "../protocol/close-codes.ts";
import type { ServerConnection } from "./server-connection.ts";

/** Deadlines are kept to within this time, in milliseconds. */
const TICK_MS = 500;

/**
 * Ends connections whose credential has expired (4401) and those that began a message and do not finish
 * it (1008), and lets sessions look at what is due. One timer for all: it looks at each connection, which costs some nanoseconds.
 */
export class Deadlines {
  readonly #expiryGraceMs: number;
  readonly #messageTimeoutMs: number;
  readonly #connections: () => readonly ServerConnection[];
  #timer: NodeJS.Timeout | null = null;

  constructor(
    { expiryGraceMs, messageTimeoutMs }: { expiryGraceMs: number; messageTimeoutMs: number },
    connections: () => readonly ServerConnection[],
  ) {
    this.#expiryGraceMs = expiryGraceMs;
    this.#messageTimeoutMs = messageTimeoutMs;
    this.#connections = connections;
  }

  start(): void {
    const tickMs = Math.min(TICK_MS, this.#messageTimeoutMs / 2);
    this.#timer ??= setInterval(() => this.#tick(performance.now()), tickMs).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #tick(now: number): void {
    const date = Date.now();
    const expiredBefore = date - this.#expiryGraceMs;
    const expired: ServerConnection[] = [];
    const unfinished: ServerConnection[] = [];
    for (const connection of this.#connections()) {
      if (connection.expiresAt <= expiredBefore) expired.push(connection);
      else if (this.#isUnfinished(connection, now)) unfinished.push(connection);
      else connection.session?.tick(now, date);
    }
    // Closing takes connections out of the list that was walked.
    for (const connection of expired) {
      connection.endFirmly(CloseCode.unauthorized, "credential expired");
    }
    for (const connection of unfinished) {
      connection.endFirmly(CloseCode.policyViolation, "message not finished");
    }
  }

  #isUnfinished(connection: ServerConnection, now: number): boolean {
    // While we hold up a client, its message is not late.
    if (!connection.receiving || connection.paused) connection.receivingSince = 0;
    else if (connection.receivingSince === 0) connection.receivingSince = now;
    else return now - connection.receivingSince >= this.#messageTimeoutMs;
    return false;
  }
}
