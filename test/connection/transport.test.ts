import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { StreamWriter } from "../../src/connection/transport.ts";
import { Sequence } from "../../src/fanout/sequence.ts";
import { Frame } from "../../src/protocol/frame.ts";

const disposals: (() => unknown)[] = [];
afterEach(async () => {
  for (const dispose of disposals.splice(0).reverse()) await dispose();
});

/** Two ends of a real TCP connection; the reader has not begun to read. */
async function socketPair(): Promise<{ writer: Socket; reader: Socket }> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const reader = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1" });
  reader.pause();
  const [writer] = (await once(server, "connection")) as [Socket];
  disposals.push(
    () => server.close(),
    () => writer.destroy(),
    () => reader.destroy(),
  );
  return { writer, reader };
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
  const { writer: socket, reader } = await socketPair();
  const writer = new StreamWriter(socket, 64 * MEGABYTE);
  socket.on("drain", () => writer.finish());
  const filling = sequenceOf(MORE_THAN_FITS);
  expect(writer.write(filling, null)).toBe(true);
  const more = sequenceOf(1000, 2000, 70_000);
  expect(writer.write(more, null)).toBe(true);
  const total = [...filling.runs, ...more.runs].reduce((sum, run) => sum + run.length, 0);
  expect(writer.bufferedAmount).toBeGreaterThan(0);
  await readAll(reader, total);
});

test("a backlog above the bound is refused, what one turn sends is not", async () => {
  const { writer: socket } = await socketPair();
  const writer = new StreamWriter(socket, MEGABYTE);
  // One turn may send far more than the bound.
  expect(writer.write(sequenceOf(MORE_THAN_FITS), null)).toBe(true);
  expect(writer.write(sequenceOf(10), null)).toBe(false);
  expect(writer.bufferedAmount).toBeGreaterThan(MEGABYTE);
});

test("discarding forgets what was kept, finishing hands it over", async () => {
  const { writer: socket } = await socketPair();
  const writer = new StreamWriter(socket, 64 * MEGABYTE);
  writer.write(sequenceOf(MORE_THAN_FITS), null);
  const handed = socket.writableLength;
  writer.write(sequenceOf(5000), null);
  expect(writer.bufferedAmount).toBe(handed + 5004);
  writer.discard();
  expect(writer.bufferedAmount).toBe(handed);
  writer.write(sequenceOf(5000), null);
  writer.finish();
  expect(socket.writableLength).toBe(handed + 5004);
});

test("a sequence of which everything was left out writes nothing", async () => {
  const { writer: socket } = await socketPair();
  const writer = new StreamWriter(socket, MEGABYTE);
  const sequence = sequenceOf(100);
  expect(writer.write(sequence, [{ at: sequence, instead: null }])).toBe(true);
  expect(socket.bytesWritten).toBe(0);
});
