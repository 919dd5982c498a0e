import { AuthenticationError } from "../protocol/errors.ts";
import type { WebSocketClientOptions } from "./options.ts";
import type { Succession } from "./parts.ts";
import type { Runtime } from "./runtime/runtime.ts";
import { BaseClient } from "./web-socket-client.ts";

/** One connection after another, each when the last is lost and as the reconnection has it. */
export async function* connections(
  runtime: Runtime,
  url: string | URL,
  options: WebSocketClientOptions,
): AsyncGenerator<BaseClient, undefined, undefined> {
  const succession: Succession = {};
  let { resumeFrom } = options;
  let connected = false;
  do {
    const client = new BaseClient(runtime, url, { ...options, resumeFrom }, succession);
    try {
      await client.connect();
      connected = true;
      yield client;
      // What the loop leaves open is closed, and counts as lost.
      if (client.isConnected) succession.wait = succession.policy?.afterClose(1006, runtime.now());
    } catch (error) {
      if (options.signal?.aborted) return;
      // The first attempt is not repeated, but for a token that has to be renewed.
      if (!succession.wait || !(connected || error instanceof AuthenticationError)) throw error;
    } finally {
      await client.close();
    }
    if (succession.error) throw succession.error;
    resumeFrom = client.positions;
  } while (succession.wait);
}
