import { expect, test } from "vitest";
import type { WebSocket } from "ws";
import { WebSocketClient, type WebSocketClientOptions } from "../../src/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { startSocketServer } from "../support/socket-server.ts";

const onDispose = useDisposals();

/** A client that is connected to a server which does this with each connection. */
async function connected(
  serve: (socket: WebSocket, number: number) => void,
  options?: WebSocketClientOptions,
): Promise<WebSocketClient> {
  const server = await startSocketServer(serve);
  onDispose(server.dispose);
  const client = new WebSocketClient(server.url, { subprotocols: ["roomcast.v1"], ...options });
  onDispose(() => client.close());
  await client.connect();
  return client;
}

test.each([null, 0, "enough"])(
  "a request that is aborted with %j rejects with that",
  async (reason) => {
    const client = await connected(() => {});
    const stop = new AbortController();
    const asking = client.request("anything", { signal: stop.signal });
    stop.abort(reason);
    await expect(asking).rejects.toBe(reason);
  },
);
