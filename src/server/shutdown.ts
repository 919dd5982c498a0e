import { setTimeout as wait } from "node:timers/promises";
import type { ServerConnection } from "../connection/server-connection.ts";
import { CloseCode, checkClose } from "../protocol/close-codes.ts";
import { EncodedMessage } from "../protocol/encoded-message.ts";
import type { Message } from "../protocol/payload.ts";

/** How to leave. */
export interface StopOptions {
  /** The close code clients get. Default 1012 (service restart): they reconnect. */
  readonly code?: number;
  readonly reason?: string;
  /** Sent to every client before its close frame. */
  readonly message?: Message;
  /** When whoever has not answered the close is cut off, in milliseconds. Default 5,000. */
  readonly drainMs?: number;
  /** How long to be not ready before anything else, for a balancer to notice. Default 0. */
  readonly readinessDelayMs?: number;
}

/** Stop options with their defaults, checked. */
export interface Goodbye {
  readonly code: number;
  readonly reason: string;
  readonly message: EncodedMessage | null;
  readonly drainMs: number;
  readonly readinessDelayMs: number;
}

/** Closes are spread over this part of the drain, so that clients do not all come back at once. */
const CLOSING_SHARE = 0.5;
const BATCH_MS = 10;
const MIN_BATCH = 100;

/** @throws TypeError or RangeError naming the option that is wrong. */
export function resolveGoodbye(options: StopOptions): Goodbye {
  const { code = CloseCode.serviceRestart, reason = "", drainMs = 5000 } = options;
  const { readinessDelayMs = 0 } = options;
  checkClose(code, reason);
  for (const [name, value] of Object.entries({ drainMs, readinessDelayMs })) {
    if (!(Number.isFinite(value) && value >= 0)) {
      throw new RangeError(`${name} must be milliseconds, 0 or more, not ${value}.`);
    }
  }
  const message = options.message === undefined ? null : EncodedMessage.from(options.message);
  return { code, reason, message, drainMs, readinessDelayMs };
}

/**
 * Says goodbye to every connection and closes it, in batches. Resolves when all have ended; those that
 * have not after `drainMs` are cut off. `send` queues the message to one of them.
 */
export async function closeAll(
  connections: () => readonly ServerConnection[],
  goodbye: Goodbye,
  send: (connection: ServerConnection, message: EncodedMessage) => void,
): Promise<void> {
  const deadline = performance.now() + goodbye.drainMs;
  const batches = Math.max(1, (goodbye.drainMs * CLOSING_SHARE) / BATCH_MS);
  const batchSize = Math.max(MIN_BATCH, Math.ceil(connections().length / batches));
  const open = new Set<ServerConnection>();
  const ends: Promise<void>[] = [];
  while (connections().length > 0) {
    for (const connection of connections().slice(0, batchSize)) {
      open.add(connection);
      ends.push(ended(connection).then(() => void open.delete(connection)));
      if (goodbye.message !== null) send(connection, goodbye.message);
      connection.sayGoodbye(goodbye.code, Math.round(goodbye.drainMs * Math.random()));
      connection.end(goodbye.code, goodbye.reason);
    }
    if (connections().length > 0) await wait(BATCH_MS);
  }
  await before(deadline, Promise.all(ends));
  for (const connection of open) connection.terminate();
  await Promise.all(ends);
}

/** Waits for `work`, but not beyond `deadline` (of `performance.now()`). */
export async function before(deadline: number, work: Promise<unknown>): Promise<void> {
  const giveUp = new AbortController();
  const late = wait(Math.max(0, deadline - performance.now()), undefined, {
    signal: giveUp.signal,
  }).catch(() => {});
  await Promise.race([work, late]);
  giveUp.abort();
}

function ended(connection: ServerConnection): Promise<void> {
  return new Promise((resolve) => connection.on("close", () => resolve()));
}
