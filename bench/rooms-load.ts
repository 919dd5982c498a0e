import type { Socket } from "node:net";
import { clientFrame, connectRaw } from "./raw-client.ts";

/**
 * The load of `rooms.ts`: connections in rooms, spread over the servers, each of which publishes again as soon as its
 * message has come back. Whatever the subject wraps a message in, it has its sender in a fixed place.
 */
interface Start {
  readonly ports: readonly number[];
  readonly rooms: number;
  readonly perRoom: number;
  readonly outstanding: number;
  readonly subject: "roomcast" | "socket.io";
}

const PAYLOAD = 64;

/** How each subject wraps a message, and where one connects. */
const WRAPPED = {
  roomcast: { before: "", after: "", target: (room: string) => `/?room=${room}` },
  "socket.io": {
    before: '42["m","',
    after: '"]',
    target: (room: string) => `/socket.io/?EIO=4&transport=websocket&room=${room}`,
  },
};

let deliveries = 0;

/** Hands over each frame that a server sends, without copying those that came whole. */
function frames(onFrame: (bytes: Buffer, start: number, length: number) => void) {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk: Buffer): void => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (at + 2 <= bytes.length) {
      const short = bytes.readUInt8(at + 1);
      const header = short === 126 ? 4 : 2;
      if (at + header > bytes.length) break;
      const length = short === 126 ? bytes.readUInt16BE(at + 2) : short;
      if (at + header + length > bytes.length) break;
      onFrame(bytes, at + header, length);
      at += header + length;
    }
    // The buffer that was read into is used again.
    rest = Buffer.from(bytes.subarray(at));
  };
}

async function join(start: Start, room: number, number: number): Promise<() => void> {
  const { ports, perRoom, outstanding, subject } = start;
  const { before, after, target } = WRAPPED[subject];
  const id = String(room * perRoom + number).padStart(6, "0");
  const own = Buffer.from(id, "latin1");
  const message = clientFrame(`${before}${id.padEnd(PAYLOAD, "x")}${after}`);
  const size = before.length + PAYLOAD + after.length;
  let socket: Socket | undefined;
  let joined = (): void => {};
  const ready = new Promise<void>((resolve) => {
    joined = resolve;
  });
  const take = frames((bytes, at, length) => {
    if (length === size) {
      deliveries++;
      const sender = at + before.length;
      if (bytes.compare(own, 0, own.length, sender, sender + own.length) === 0)
        socket?.write(message);
    } else if (bytes[at] === 0x34 && bytes[at + 1] === 0x30) joined();
  });
  socket = await connectRaw(ports[number % ports.length] ?? 0, take, target(`room-${room}`));
  if (subject === "socket.io") {
    socket.write(clientFrame("40"));
    await ready;
  }
  return () => {
    for (let i = 0; i < outstanding; i++) socket.write(message);
  };
}

async function begin(start: Start): Promise<void> {
  const publish: (() => void)[] = [];
  for (let room = 0; room < start.rooms; room++) {
    for (let number = 0; number < start.perRoom; number++) {
      publish.push(await join(start, room, number));
    }
  }
  // Joins of the last ones may be on their way to Redis.
  await new Promise((resolve) => setTimeout(resolve, 500));
  for (const one of publish) one();
}

process.on("message", async (question: Start | "count") => {
  if (question !== "count") await begin(question);
  process.send?.({ deliveries, now: performance.now() });
});
process.on("disconnect", () => process.exit());
