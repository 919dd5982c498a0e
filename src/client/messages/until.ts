import { WebSocketError } from "../../protocol/errors.ts";
import type { WaitOptions } from "../options.ts";
import { nothing, type Runtime } from "../runtime/runtime.ts";

/** `work`, unless the time is over or the signal aborted before; then `cancel` has to make it reject. */
export async function until<T>(
  { schedule }: Runtime,
  { timeoutMs = Infinity, signal }: WaitOptions,
  work: Promise<T>,
  cancel: (reason: unknown) => void,
): Promise<T> {
  const abort = (): void => cancel(signal?.reason);
  const late = (): void => {
    cancel(new WebSocketError(`Nothing came within ${timeoutMs} ms.`, { code: "timeout" }));
  };
  // No timer runs for longer than 24 days: whoever would wait so long waits for ever.
  const stop = timeoutMs < 2 ** 31 ? schedule(timeoutMs, late) : nothing;
  signal?.addEventListener("abort", abort);
  try {
    return await work;
  } finally {
    stop();
    signal?.removeEventListener("abort", abort);
  }
}
