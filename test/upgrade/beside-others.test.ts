import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { ConnectionManager } from "../../src/server/connection-manager.ts";
import { WebSocketRouter } from "../../src/upgrade/router.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";

const onDispose = useDisposals();

test("another library on the same server keeps its path, as the documentation has it", async () => {
  const manager = new ConnectionManager();
  const server = createServer();
  const router = new WebSocketRouter(manager).public("/ours", {
    message: (connection, text) => void connection.send(text),
  });
  const other = new WebSocketServer({ noServer: true });
  other.on("connection", (webSocket) => webSocket.on("message", () => webSocket.send("theirs")));
  server.on("upgrade", (request, socket, head) => {
    if (request.url !== "/other") return;
    other.handleUpgrade(request, socket, head, (webSocket) => other.emit("connection", webSocket));
  });
  router.attach(server);
  await manager.start();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onDispose(async () => {
    await manager.stop();
    server.closeAllConnections();
    server.close();
  });
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const [path, answer] of [
    ["/ours", "hello"],
    ["/other", "theirs"],
  ]) {
    const client = await Client.connect(url + path);
    client.send("hello");
    expect(await client.next()).toBe(answer);
    await client.close();
  }
});
