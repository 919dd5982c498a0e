import { setTimeout as wait } from "node:timers/promises";
import type { ServerConnection } from "../connection/server-connection.ts";
import { checkOptions } from "../protocol/check-options.ts";
import { CloseCode, checkClose } from "../protocol/close-codes.ts";
import { EncodedMessage } from "../protocol/encoded-message.ts";
import type { Message } from "../protocol/payload.ts";
import type { LocalInstance } from "./instance.ts";

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
/** How long a socket may take to end that was cut off, in milliseconds. */
const TERMINATE_MS = 1000;
const MAX_TIMER_MS = 0x7fff_ffff;

const OPTIONS = ["code", "reason", "message", "drainMs", "readinessDelayMs"] as const;

/** @throws TypeError or RangeError naming the option that is wrong. */
export function resolveGoodbye(options: StopOptions): Goodbye {
  checkOptions("stop", options, OPTIONS);
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
 * have not after `drainMs` are cut off.
 *
 * @internal
 */
export async function closeAll(instance: LocalInstance, goodbye: Goodbye): Promise<void> {
  const deadline = performance.now() + goodbye.drainMs;
  const open = (): readonly ServerConnection[] => instance.registry.connections.items;
  const batches = Math.max(1, (goodbye.drainMs * CLOSING_SHARE) / BATCH_MS);
  const batchSize = Math.max(MIN_BATCH, Math.ceil(open().length / batches));
  for (;;) {
    for (const connection of open().slice(0, batchSize)) {
      if (goodbye.message !== null) connection.deliver(goodbye.message);
      connection.sayGoodbye(goodbye.code, Math.round(goodbye.drainMs * Math.random()));
      // What clients sent before they were told is handled still.
      connection.end(goodbye.code, goodbye.reason, "handle");
    }
    if (open().length === 0) break;
    await wait(BATCH_MS);
  }
  await before(deadline, instance.ended());
  for (const connection of [...instance.closingConnections]) connection.transport.terminate();
  await before(performance.now() + TERMINATE_MS, instance.ended());
}

/** Waits for `work`, but not beyond `deadline` (of `performance.now()`). */
export async function before(deadline: number, work: Promise<unknown>): Promise<void> {
  const giveUp = new AbortController();
  const late = sleep(deadline - performance.now(), giveUp.signal);
  await Promise.race([work, late]);
  giveUp.abort();
}

/** Waits, however long that is: a timer of Node takes 2^31 - 1 ms at most. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  const until = performance.now() + ms;
  for (let left = ms; left > 0 && signal?.aborted !== true; left = until - performance.now()) {
    await wait(Math.min(left, MAX_TIMER_MS), undefined, signal && { signal }).catch(() => {});
  }
}
