import { connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { startManager } from "../support/manager-server.ts";

const onDispose = useDisposals();

/** A client of `roomcast.v1` that reads nothing before it is told to; then it keeps the bytes it gets. */
async function slowClient(url: string): Promise<{ socket: Socket; bytes: () => Buffer }> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  onDispose(() => socket.destroy());
  const chunks: Buffer[] = [];
  socket.on("error", () => {});
  socket.write(
    `GET /v1 HTTP/1.1\r\nHost: ${hostname}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
      "Sec-WebSocket-Protocol: roomcast.v1\r\n\r\n",
  );
  await new Promise<void>((resolve) => socket.once("data", () => resolve()));
  socket.pause();
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.pause();
  return { socket, bytes: () => Buffer.concat(chunks) };
}

/** The opcodes and texts of the server's frames (RFC 6455 section 5.2); the last may be cut off. */
function* framesOf(bytes: Buffer): Generator<{ opcode: number; text: string }> {
  for (let at = 0; at + 2 <= bytes.length; ) {
    const opcode = bytes.readUInt8(at) & 0x0f;
    const short = bytes.readUInt8(at + 1);
    const header = short === 127 ? 10 : short === 126 ? 4 : 2;
    if (at + header > bytes.length) return;
    const length =
      short === 127
        ? Number(bytes.readBigUInt64BE(at + 2))
        : short === 126
          ? bytes.readUInt16BE(at + 2)
          : short;
    if (at + header + length > bytes.length) return;
    yield { opcode, text: bytes.toString("utf8", at + header, at + header + length) };
    at += header + length;
  }
}

test("after a slow reader was given up nothing but the close is written, so no hole is hidden", async () => {
  const server = await startManager({ rooms: { "log:*": { history: {} } } });
  onDispose(server.dispose);
  const { manager, router } = server;
  router.public("/v1", { open: (connection) => connection.join("log:a"), message: () => {} });
  const { socket, bytes } = await slowClient(server.url);
  await expect.poll(() => manager.count({ room: "log:a" })).toBe(1);
  const [connection] = manager.connections();
  const text = "x".repeat(50_000);
  // On its way into the room until it has said nothing for a while; then live.
  while (connection?.state === "open") {
    await manager.broadcastToRoom("log:a", text);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await manager.broadcastToRoom("log:a", "after the hole");
  socket.resume();
  await new Promise((resolve) => socket.once("close", resolve));
  const frames = [...framesOf(bytes())];
  let last: string | undefined;
  for (const { opcode, text: json } of frames) {
    if (opcode !== 1) continue;
    const frame = JSON.parse(json);
    expect(frame.type).not.toBe("goodbye");
    if (frame.type === "joined") last = frame.position;
    if (frame.type !== "message") continue;
    if (last !== undefined) expect(frame.prev).toBe(last);
    last = frame.id;
  }
  expect(last).toBeDefined();
});

test("a fast reader that got 15 MiB in one turn is not closed for something small in the next", async () => {
  const server = await startManager();
  onDispose(server.dispose);
  const { client, connection } = await server.connect("fast");
  void connection.send("x".repeat(15 * 1024 * 1024));
  await new Promise((resolve) => setImmediate(resolve));
  void connection.send("small");
  expect(String(await client.next()).length).toBe(15 * 1024 * 1024);
  expect(await client.next()).toBe("small");
});

test("a replay to a reader who takes little at a time comes to its end", async () => {
  const server = await startManager({ rooms: { "log:*": { history: {} } } });
  onDispose(server.dispose);
  const { manager } = server;
  for (let i = 0; i < 400; i++) await manager.broadcastToRoom("log:a", `${i} `.padEnd(9000, "x"));
  const { client, connection } = await server.connect("reader");
  client.socket.pause();
  const replayed = manager.history.replay(connection, "log:a");
  // The reader wakes up now and then: the kernel is full in between, and little waits here.
  const waking = setInterval(() => {
    client.socket.resume();
    setImmediate(() => client.socket.pause());
  }, 5);
  onDispose(() => clearInterval(waking));
  expect(await replayed).toBe(400);
});

test("closing a client that is held up does not wait for its handler", async () => {
  const server = await startManager({ config: { maxQueueSize: 2, closeTimeoutMs: 60_000 } });
  onDispose(server.dispose);
  server.router.public("/busy", { message: () => new Promise(() => {}) });
  const client = await Client.connect(`${server.url}/busy`);
  for (let i = 0; i < 50; i++) client.send(`${i}`.padEnd(20_000, "x"));
  await expect.poll(() => server.manager.connectionCount).toBe(1);
  const [connection] = server.manager.connections();
  await new Promise((resolve) => setTimeout(resolve, 50));
  const begun = performance.now();
  connection?.close(1000, "bye");
  expect(await client.closed()).toEqual({ code: 1000, reason: "bye" });
  await expect.poll(() => connection?.state).toBe("closed");
  // The close timeout of the server is a minute: it was not what ended it.
  expect(performance.now() - begun).toBeLessThan(30_000);
});
