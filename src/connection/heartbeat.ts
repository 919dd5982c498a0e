import { CloseCode } from "../protocol/close-codes.ts";
import type { ServerConnection } from "./server-connection.ts";

/** A tick looks at every connection, which costs some nanoseconds each, and pings those that are due. */
const TICKS_PER_INTERVAL = 200;
const MIN_TICK_MS = 10;

/**
 * Pings every connection once in `intervalMs` and closes those that stay silent for `timeoutMs`
 * afterwards, with 4408. One timer for all; the pings are spread over the interval.
 */
export class Heartbeat {
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  readonly #connections: () => readonly ServerConnection[];
  #timer: NodeJS.Timeout | null = null;

  constructor(
    intervalMs: number,
    timeoutMs: number,
    connections: () => readonly ServerConnection[],
  ) {
    this.#intervalMs = intervalMs;
    this.#timeoutMs = timeoutMs;
    this.#connections = connections;
  }

  start(): void {
    const tickMs = Math.max(
      MIN_TICK_MS,
      Math.min(this.#intervalMs, this.#timeoutMs) / TICKS_PER_INTERVAL,
    );
    this.#timer ??= setInterval(() => this.#tick(performance.now()), tickMs).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #tick(now: number): void {
    const dead: ServerConnection[] = [];
    for (const connection of this.#connections()) {
      if (connection.pingedAt !== 0 && now - connection.pingedAt >= this.#timeoutMs) {
        // While we hold up a client, its pongs wait with its messages: that proves nothing.
        if (connection.paused) connection.pingedAt = now;
        else dead.push(connection);
      }
      if (now >= connection.nextPingAt) this.#ping(connection, now);
    }
    // Closing takes connections out of the list that was walked.
    for (const connection of dead) connection.endFirmly(CloseCode.timeout, "no pong");
  }

  #ping(connection: ServerConnection, now: number): void {
    if (connection.nextPingAt === 0) {
      // New here: its first ping comes somewhere in the interval, so that pings do not come in bursts.
      connection.nextPingAt = now + Math.random() * this.#intervalMs;
      return;
    }
    connection.nextPingAt = now + this.#intervalMs;
    if (connection.pingedAt === 0) connection.pingedAt = now;
    connection.heartbeat();
  }
}
