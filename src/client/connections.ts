import { resolveClientConfig } from "../protocol/client-config.ts";
import { AuthenticationError } from "../protocol/errors.ts";
import type { WebSocketClientOptions } from "./options.ts";
import type { Succession } from "./persistent-connection.ts";
import { ReconnectPolicy } from "./reconnect-policy.ts";
import type { Runtime } from "./runtime.ts";
import { BaseClient } from "./web-socket-client.ts";

/** One connection after another, each when the last is lost and as the reconnection has it. */
export async function* connections(
  runtime: Runtime,
  url: string | URL,
  options: WebSocketClientOptions,
): AsyncGenerator<BaseClient, undefined, undefined> {
  const { signal, token } = options;
  const config = resolveClientConfig(options.config);
  const policy = new ReconnectPolicy(config, runtime.random, typeof token === "function");
  const succession: Succession = { policy, wait: undefined, error: undefined };
  let { resumeFrom } = options;
  let connected = false;
  do {
    const client = new BaseClient(runtime, url, { ...options, resumeFrom }, succession);
    try {
      await client.connect();
      connected = true;
      yield client;
      // What the loop leaves open is closed, and counts as lost.
      if (client.isConnected) succession.wait = policy.afterFailure({}) ?? undefined;
    } catch (error) {
      if (signal?.aborted) return;
      // The first attempt is not repeated, but for a token that has to be renewed.
      const again = connected || error instanceof AuthenticationError;
      if (!again || succession.wait === undefined) throw error;
    } finally {
      await client.close();
    }
    if (succession.error !== undefined) throw succession.error;
    resumeFrom = client.positions;
  } while (succession.wait !== undefined);
}
