import { WebSocketError } from "../../protocol/errors.ts";
import type { WaitOptions } from "../options.ts";
import { nothing, type Runtime } from "../runtime/runtime.ts";

/** What somebody waits for. */
export interface Waiting<T> {
  readonly promise: Promise<T>;
  /** Does not wait any more: it rejects with this, and nothing is lost by it. Nothing once it has settled. */
  cancel(reason: unknown): void;
}

/** What begins here, unless the time is over or the signal aborts before. Nothing begins once that has aborted. */
export async function until<T>(
  { schedule }: Runtime,
  { timeoutMs = Infinity, signal }: WaitOptions,
  begin: () => Waiting<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const { promise, cancel } = begin();
  const abort = (): void => cancel(signal?.reason);
  const late = (): void => {
    cancel(new WebSocketError(`Nothing came within ${timeoutMs} ms.`, { code: "timeout" }));
  };
  // No timer runs for longer than 24 days: whoever would wait so long waits for ever.
  const stop = timeoutMs < 2 ** 31 ? schedule(timeoutMs, late) : nothing;
  signal?.addEventListener("abort", abort);
  try {
    return await promise;
  } finally {
    stop();
    signal?.removeEventListener("abort", abort);
  }
}
