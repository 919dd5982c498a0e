import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import type { MessagePacket } from "../../src/backplane/contract/broker.ts";
import { memoryBackplane } from "../../src/backplane/memory/memory-backplane.ts";
import { MemoryReceipts } from "../../src/backplane/memory/memory-receipts.ts";
import { Held } from "../../src/durable/held.ts";
import { Ring } from "../../src/durable/ring.ts";
import { EncodedMessage } from "../../src/protocol/encoded-message.ts";
import { ConnectionManager } from "../../src/server/connection-manager.ts";
import { WebSocketRouter } from "../../src/upgrade/router.ts";

/** What is filled, with messages of this size; answers what it took, and what it may take. */
interface Question {
  readonly subject: "logs" | "rings" | "receipts" | "held" | "backlog";
  readonly size: number;
}

const MIB = 1024 * 1024;
/** Whatever fills must not be collected before it was measured. */
const kept: unknown[] = [];

function packet(size: number, number: number): MessagePacket {
  const message = EncodedMessage.from(`${number} `.padEnd(size, "x"));
  return { type: "message", message, except: null };
}

/** As the parts of a server use a message: it has been sent in both its forms. */
function sent(size: number, number: number): { packet: MessagePacket; id: string; prev: string } {
  const [id, prev] = [`1700000000000-${number}~AAAAAAAA`, `1700000000000-${number - 1}~AAAAAAAA`];
  const one = packet(size, number);
  void one.message.plain;
  one.message.enveloped("a room", { id, prev });
  return { packet: one, id, prev };
}

async function fillLogs(size: number): Promise<number> {
  const bound = 128 * MIB;
  const instance = {
    id: "a",
    receive: () => 0,
    statusChanged: () => {},
    roomsAsUser: () => [],
    raise: () => {},
    report: () => {},
  };
  const { history } = memoryBackplane({ maxHistoryBytes: bound }).attach(instance);
  const policy = { maxLength: 10_000_000, ttlMs: 3_600_000 };
  const count = Math.ceil((3 * bound) / (size + 250));
  for (let i = 0; i < count; i++) await history.append("room:a", packet(size, i), policy);
  kept.push(history);
  return bound;
}

function fillRings(size: number): number {
  const bound = 64 * MIB;
  let number = 0;
  for (let taken = 0; taken < bound; ) {
    const ring = new Ring(1000, MIB);
    for (let i = 0; i < 3000; i++) {
      const { packet: one, id, prev } = sent(size, number++);
      ring.push({ id, prev, message: one.message, except: null });
    }
    taken += ring.bytes;
    kept.push(ring);
  }
  return bound;
}

async function fillReceipts(size: number): Promise<number> {
  const bound = 64 * MIB;
  const receipts = new MemoryReceipts();
  const count = Math.ceil((2 * bound) / (size + 300));
  for (let i = 0; i < count; i++) {
    const key = String(i).padStart(43, "k");
    await receipts.claim(key, "~instance~connection");
    await receipts.finish(key, "~instance~connection", `${i} `.padEnd(size, "x"));
  }
  kept.push(receipts);
  return bound;
}

function fillHeld(size: number): number {
  for (let i = 0; i < 64; i++) {
    const held = new Held(MIB);
    while (!held.isIncomplete) {
      const link = { id: `1700000000000-${i}~AAAAAAAA`, prev: "0" };
      held.add({ ...packet(size, i), link });
    }
    kept.push(held);
  }
  return 64 * MIB;
}

/** Readers who do not read, each sent messages of its own in many turns until just before it is given up. */
async function fillBacklog(size: number): Promise<number> {
  const readers = 64;
  const manager = new ConnectionManager();
  const router = new WebSocketRouter(manager);
  router.public("/", { message: () => {} });
  const server = createServer();
  router.attach(server);
  await manager.start();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const clients: Socket[] = [];
  for (let i = 0; i < readers; i++) {
    const client = connect(port, "127.0.0.1");
    client.write(
      "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    await new Promise((resolve) => client.once("data", resolve));
    client.pause();
    clients.push(client);
  }
  const connections = manager.connections();
  // The kernel takes some megabytes first; they are not ours.
  for (const connection of connections) {
    while (connection.bufferedAmount === 0) {
      void connection.send("x".repeat(MIB));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  globalThis.gc?.();
  before = process.memoryUsage.rss();
  for (let turn = 0; turn < MIB / (size + 192) - 2; turn++) {
    for (const connection of connections) void connection.send(`${turn} `.padEnd(size, "x"));
    await new Promise((resolve) => setImmediate(resolve));
  }
  kept.push(manager, clients);
  return readers * MIB;
}

let before = 0;

process.on("message", async ({ subject, size }: Question) => {
  globalThis.gc?.();
  before = process.memoryUsage.rss();
  const fill = {
    logs: fillLogs,
    rings: fillRings,
    receipts: fillReceipts,
    held: fillHeld,
    backlog: fillBacklog,
  }[subject];
  const bound = await fill(size);
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await wait(50);
  }
  process.send?.({ taken: process.memoryUsage.rss() - before, bound });
});
process.on("disconnect", () => process.exit());
process.send?.({});
