import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { NativeSocket, type NativeTransport } from "../../src/connection/native-transport.ts";
import { Sequence } from "../../src/fanout/sequence.ts";
import { Frame } from "../../src/protocol/frame.ts";

const disposals: (() => unknown)[] = [];
afterEach(async () => {
  for (const dispose of disposals.splice(0).reverse()) await dispose();
});

/** Nobody, to whom nothing happens. */
const OWNER = {
  closing: () => {},
  received: () => {},
  pinged: () => {},
  ponged: () => {},
  ended: () => {},
  crashed: (error: unknown) => {
    throw error;
  },
  report: () => {},
};

/** A connection as our router makes it, and its client, which has the handshake and does not read on. */
async function connected(
  maxBufferedBytes: number,
): Promise<{ writer: NativeTransport; stream: Socket; reader: Socket }> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const reader = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1" });
  reader.write(
    "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  const [request, stream, head] = (await once(server, "upgrade")) as [
    IncomingMessage,
    Socket,
    Buffer,
  ];
  const acceptor = new WebSocketServer({ noServer: true, WebSocket: NativeSocket });
  const socket = await new Promise<NativeSocket>((resolve) =>
    acceptor.handleUpgrade(request, stream, head, resolve),
  );
  await once(reader, "data");
  reader.pause();
  disposals.push(
    () => server.close(),
    () => stream.destroy(),
    () => reader.destroy(),
  );
  socket.upgraded(stream, undefined);
  return { writer: socket.transport(OWNER, maxBufferedBytes), stream, reader };
}

function sequenceOf(...sizes: number[]): Sequence {
  return sizes.reduce(
    (sequence, size) => sequence.grow(new Frame({ data: Buffer.alloc(size), binary: true })),
    Sequence.empty(),
  );
}

async function readAll(reader: Socket, bytes: number): Promise<void> {
  let received = 0;
  for await (const chunk of reader) {
    received += (chunk as Buffer).length;
    if (received >= bytes) break;
  }
  expect(received).toBe(bytes);
}

const MEGABYTE = 1024 * 1024;

/** More than the kernel takes on both ends of a loopback connection. */
const MORE_THAN_FITS = 32 * MEGABYTE;

test("what a slow reader has not read is kept by reference and comes when it reads", async () => {
  const { writer, reader } = await connected(64 * MEGABYTE);
  const filling = sequenceOf(MORE_THAN_FITS);
  expect(writer.write(filling, null)).toBe(true);
  const more = sequenceOf(1000, 2000, 70_000);
  expect(writer.write(more, null)).toBe(true);
  const total = [...filling.runs, ...more.runs].reduce((sum, run) => sum + run.length, 0);
  expect(writer.bufferedAmount).toBeGreaterThan(0);
  await readAll(reader, total);
});

test("a backlog above the bound is refused, what one turn sends is not", async () => {
  const { writer } = await connected(MEGABYTE);
  // One turn may send far more than the bound, and the next something small: nobody knows yet who is slow.
  expect(writer.write(sequenceOf(MORE_THAN_FITS), null)).toBe(true);
  expect(writer.write(sequenceOf(10), null)).toBe(true);
  expect(writer.write(sequenceOf(MEGABYTE), null)).toBe(true);
  expect(writer.write(sequenceOf(10), null)).toBe(false);
  expect(writer.bufferedAmount).toBeGreaterThan(MEGABYTE);
});

test("small pieces that wait count with what keeping them takes", async () => {
  const { writer } = await connected(MEGABYTE);
  writer.write(sequenceOf(MORE_THAN_FITS), null);
  let kept = 0;
  while (writer.write(sequenceOf(10), null)) kept++;
  expect(kept).toBeLessThan(MEGABYTE / 128);
});

test("discarding forgets what was kept, finishing hands it over", async () => {
  const { writer, stream } = await connected(64 * MEGABYTE);
  writer.write(sequenceOf(MORE_THAN_FITS), null);
  const handed = stream.writableLength;
  writer.write(sequenceOf(5000), null);
  expect(writer.bufferedAmount).toBe(handed + 5004);
  writer.discard();
  expect(writer.bufferedAmount).toBe(handed);
  writer.write(sequenceOf(5000), null);
  writer.finish();
  expect(stream.writableLength).toBe(handed + 5004);
});

test("a sequence of which everything was left out writes nothing", async () => {
  const { writer, stream } = await connected(MEGABYTE);
  const before = stream.bytesWritten;
  const sequence = sequenceOf(100);
  expect(writer.write(sequence, [{ at: sequence, instead: null }])).toBe(true);
  expect(stream.bytesWritten).toBe(before);
});

test("drained waits for a reader who takes little, also where nothing says that the stream has drained", async () => {
  const { writer, stream, reader } = await connected(64 * MEGABYTE);
  // The kernel is full, and what is left over is less than a stream calls full.
  while (stream.writableLength === 0) {
    writer.write(sequenceOf(8192), null);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(stream.writableNeedDrain).toBe(false);
  let isDrained = false;
  const drained = writer.drained().then(() => {
    isDrained = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(isDrained).toBe(false);
  reader.resume();
  await drained;
  expect(writer.bufferedAmount).toBe(0);
});

test("drained ends with the connection", async () => {
  const { writer, stream } = await connected(64 * MEGABYTE);
  writer.write(sequenceOf(MORE_THAN_FITS), null);
  writer.write(sequenceOf(10), null);
  const drained = writer.drained();
  stream.destroy();
  writer.discard();
  await drained;
});
