import type { Socket } from "node:net";
import { clientFrame, connectRaw } from "./raw-client.ts";

/**
 * The load: connections of which some publish, each with so many messages outstanding at any time. A
 * message is outstanding until it has come back to its publisher. Every message has the same size, so
 * deliveries are counted by bytes; one listener checks that each publisher's messages come in order.
 */

/** `publisher number` in fixed places, with padding to the size of a small chat message. */
const PAYLOAD = 64;
const FRAME = 2 + PAYLOAD;

interface Start {
  readonly port: number;
  readonly connections: number;
  readonly publishers: number;
  readonly outstanding: number;
}

let bytesReceived = 0;
const sockets: Socket[] = [];

function message(publisher: number, number: number): Buffer {
  const text = `${String(publisher).padStart(4, "0")} ${String(number).padStart(10, "0")} `;
  return clientFrame(text.padEnd(PAYLOAD, "x"));
}

/** Calls `onFrame` with the payload's place for each whole frame, keeping what is left for the next call. */
function frames(onFrame: (bytes: Buffer, payload: number) => void): (bytes: Buffer) => void {
  const partial = Buffer.alloc(FRAME);
  let kept = 0;
  return (bytes) => {
    let at = 0;
    if (kept > 0) {
      const taken = bytes.copy(partial, kept, 0, FRAME - kept);
      kept += taken;
      at = taken;
      if (kept < FRAME) return;
      onFrame(partial, 2);
      kept = 0;
    }
    for (; at + FRAME <= bytes.length; at += FRAME) onFrame(bytes, at + 2);
    if (at < bytes.length) kept = bytes.copy(partial, 0, at);
  };
}

/** Checks that the messages of each publisher come once and in order. */
function check(): (bytes: Buffer) => void {
  const last = new Map<string, number>();
  return frames((bytes, at) => {
    const publisher = bytes.toString("latin1", at, at + 4);
    const number = Number(bytes.toString("latin1", at + 5, at + 15));
    const expected = (last.get(publisher) ?? -1) + 1;
    if (number !== expected) {
      throw new Error(`Publisher ${publisher}: got message ${number}, expected ${expected}.`);
    }
    last.set(publisher, number);
  });
}

async function start({ port, connections, publishers, outstanding }: Start): Promise<void> {
  const publish: (() => void)[] = [];
  for (let i = 0; i < connections; i++) {
    let look: ((bytes: Buffer) => void) | null = i === connections - 1 ? check() : null;
    if (i < publishers) {
      const own = Buffer.from(String(i).padStart(4, "0"), "latin1");
      let number = 0;
      const send = (): void => void sockets[i]?.write(message(i, number++));
      publish.push(() => {
        for (let n = 0; n < outstanding; n++) send();
      });
      look = frames((bytes, at) => {
        if (bytes.compare(own, 0, 4, at, at + 4) === 0) send();
      });
    }
    const socket = await connectRaw(port, (bytes) => {
      bytesReceived += bytes.length;
      look?.(bytes);
    });
    sockets.push(socket);
  }
  for (const begin of publish) begin();
}

process.on("message", async (question: Start | "count") => {
  if (question !== "count") await start(question);
  process.send?.({ deliveries: bytesReceived / FRAME, now: performance.now() });
});
process.on("disconnect", () => process.exit());
