import type { Socket } from "node:net";
import { clientFrame, connectRaw } from "./raw-client.ts";

/** Clients that only read, or ask once for what they missed and read until its last message. */
export interface Connect {
  readonly port: number;
  readonly plain: number;
  readonly enveloped: number;
}

const LAST = Buffer.from("the last one");
const sockets: Socket[] = [];
let done = 0;
let whenDone: (() => void) | null = null;

async function connect({ port, plain, enveloped }: Connect): Promise<void> {
  for (let i = 0; i < plain + enveloped; i++) {
    let isDone = false;
    // What the last bytes before a look were, in case the mark lies across it.
    let tail = Buffer.alloc(0);
    const look = (bytes: Buffer): void => {
      if (isDone) return;
      const end = Buffer.concat([tail, bytes.subarray(-64)]);
      isDone = end.includes(LAST) || bytes.includes(LAST);
      tail = Buffer.from(end.subarray(-LAST.length));
      if (!isDone) return;
      done++;
      if (done === sockets.length) whenDone?.();
    };
    sockets.push(await connectRaw(port, look, "/", i < plain ? undefined : "roomcast.v1"));
  }
}

async function resume(): Promise<void> {
  const finished = new Promise<void>((resolve) => {
    whenDone = resolve;
  });
  const frame = clientFrame('{"type":"resume","rooms":{"log":"0"}}');
  for (const socket of sockets) socket.write(frame);
  await finished;
}

process.on("message", async (question: Connect | "resume") => {
  if (question === "resume") await resume();
  else await connect(question);
  process.send?.({ done });
});
process.on("disconnect", () => process.exit());
