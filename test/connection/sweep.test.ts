import { spawn } from "node:child_process";
import { connect } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { expect, test } from "vitest";
import type { CloseInfo, Connection } from "../../src/connection/connection.ts";
import { useDisposals } from "../support/disposals.ts";
import { startManager } from "../support/manager-server.ts";

const onDispose = useDisposals();

/** A client that answers no pings, and sends `bytes` after its handshake; how the server ended it. */
async function endOf(bytes: Buffer): Promise<CloseInfo> {
  const server = await startManager({
    config: { pingIntervalMs: 100, pingTimeoutMs: 200 },
    limits: { messageTimeoutMs: 1000 },
  });
  onDispose(server.dispose);
  const ended = new Promise<CloseInfo>((resolve) => {
    server.manager.on("disconnect", (_connection, info) => resolve(info));
  });
  const { hostname, port } = new URL(server.url);
  const socket = connect({ host: hostname, port: Number(port) });
  onDispose(() => socket.destroy());
  socket.on("error", () => {});
  socket.write(
    `GET /?user=mute HTTP/1.1\r\nHost: ${hostname}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  await new Promise((resolve) => socket.once("data", resolve));
  socket.write(bytes);
  socket.resume();
  return ended;
}

test("a client that says nothing is ended for its silence", async () => {
  expect((await endOf(Buffer.alloc(0))).code).toBe(4408);
});

test("a client in the middle of a message can answer no ping: it is ended for the message it does not finish", async () => {
  // A masked text frame of 100 bytes (RFC 6455 section 5.2), of which ten come.
  const begun = Buffer.concat([
    Buffer.from([0x81, 0x80 | 100, 0, 0, 0, 0]),
    Buffer.alloc(10, 0x78),
  ]);
  expect(await endOf(begun)).toEqual({ code: 1008, reason: "message not finished" });
});

test("a process that was blocked for longer than the timeout reads the pongs that wait before it ends anybody", async () => {
  const server = await startManager({ config: { pingIntervalMs: 100, pingTimeoutMs: 100 } });
  onDispose(server.dispose);
  const connected = new Promise<Connection<unknown>>((resolve) =>
    server.manager.on("connect", resolve),
  );
  // In a process of its own, so that it answers while this one cannot; late, so that a ping is often under way.
  const script = `const socket = new (require("ws"))(process.argv[1], { autoPong: false });
    socket.on("ping", (data) => setTimeout(() => socket.pong(data), 50));`;
  const client = spawn(process.execPath, ["-e", script, `${server.url}/?user=far`], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  onDispose(() => client.kill());
  const connection = await connected;
  let ended: CloseInfo | undefined;
  server.manager.on("disconnect", (_connection, info) => {
    ended = info;
  });
  for (let times = 0; times < 5; times++) {
    // Somewhere between a ping and the look whether it was answered.
    await wait(Math.random() * 100);
    const until = performance.now() + 500;
    while (performance.now() < until);
  }
  await connection.ping();
  expect(ended).toBeUndefined();
});
