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
  do {
    const client = new BaseClient(runtime, url, { ...options, resumeFrom }, succession);
    try {
      await client.connect();
      yield client;
      // What the loop leaves open is closed, and counts as lost.
      if (client.isConnected) succession.wait = succession.policy?.afterEnd(1006, runtime.now());
    } catch (error) {
      if (options.signal?.aborted) return;
      if (!succession.wait) throw error;
    } finally {
      await client.close();
    }
    if (succession.error) throw succession.error;
    resumeFrom = client.positions;
  } while (succession.wait);
}
