import { resolveClientConfig } from "../protocol/client-config.ts";
import { AuthenticationError, ConnectionClosedError } from "../protocol/errors.ts";
import { ReconnectPolicy, type Wait } from "./reconnect-policy.ts";
import type { Runtime } from "./runtime.ts";
import type { Alone, BaseClient, WebSocketClientOptions } from "./web-socket-client.ts";

/** How one of the connections ended. */
interface Outcome {
  /** When the next may be made; null: none; undefined: it did not end by itself. */
  wait: Wait | null | undefined;
  error: Error | null;
}

/**
 * One connection after another, each when the last is lost and as the reconnection has it. One that is still open
 * when the next is asked for is closed first.
 */
export async function* connections<C extends BaseClient>(
  runtime: Runtime,
  options: WebSocketClientOptions,
  make: (options: WebSocketClientOptions, alone: Alone) => C,
): AsyncGenerator<C, undefined, undefined> {
  const config = resolveClientConfig(options.config);
  const policy = new ReconnectPolicy(config, runtime.random, typeof options.token === "function");
  let { resumeFrom } = options;
  let connected = false;
  for (;;) {
    const outcome: Outcome = { wait: undefined, error: null };
    const ended = (wait: Wait | null): void => {
      outcome.wait = wait;
    };
    const client = make({ ...options, ...(resumeFrom && { resumeFrom }) }, { policy, ended });
    client.on("close", ({ code, reason }) => {
      if (code !== 1000) outcome.error ??= new ConnectionClosedError(code, reason);
    });
    client.on("error", (error) => {
      if (error instanceof AuthenticationError) outcome.error = error;
    });
    try {
      await client.connect();
      connected = true;
      yield client;
      if (client.isConnected) outcome.wait = policy.afterFailure({});
    } catch (error) {
      // The first attempt is not repeated, but for a token that has to be renewed.
      const again = connected || error instanceof AuthenticationError;
      if (!again || !outcome.wait) throw error;
    } finally {
      await client.close();
    }
    const { wait, error } = outcome;
    if (wait === undefined || (wait === null && error === null)) return;
    if (wait === null) throw error;
    await pause(runtime, wait, policy, options.signal);
    if (options.signal?.aborted) return;
    if (Object.keys(client.positions).length > 0) resumeFrom = client.positions;
  }
}

/** Waits, but not when the device is back and the server has not asked to be left alone. */
function pause(
  runtime: Runtime,
  { delayMs, firm }: Wait,
  policy: ReconnectPolicy,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      unwatch();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const patient = firm || runtime.isOnline();
    const cancel = patient ? runtime.schedule(delayMs, done) : () => {};
    const unwatch = runtime.onWake(() => {
      policy.startAnew();
      if (!firm) done();
    });
    signal?.addEventListener("abort", done);
  });
}
