import type { Socket } from "node:net";
import { clientFrame, connectRaw } from "./raw-client.ts";

/** Opens connections, lets each act at random, and ends each: with a close frame, by FIN or by RST. */
const IN_PARALLEL = 200;
const ACTIONS = 6;
const CLOSE_FRAME = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);

async function connectAll(port: number, connections: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let next = 0; next < connections; next += IN_PARALLEL) {
    const batch = Array.from({ length: Math.min(IN_PARALLEL, connections - next) }, (_, i) =>
      // Every third user has several devices.
      connectRaw(port, () => {}, `/?user=user${(next + i) % (connections / 3)}`),
    );
    sockets.push(...(await Promise.all(batch)));
  }
  return sockets;
}

process.on("message", async ({ port, connections }: { port: number; connections: number }) => {
  const sockets = await connectAll(port, connections);
  for (let round = 0; round < ACTIONS; round++) {
    for (const socket of sockets) if (Math.random() < 0.7) socket.write(clientFrame("act"));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const gone = sockets.map((socket) => new Promise((resolve) => socket.once("close", resolve)));
  for (const [i, socket] of sockets.entries()) {
    socket.removeAllListeners("error").on("error", () => {});
    if (i % 3 === 0) socket.write(CLOSE_FRAME);
    else if (i % 3 === 1) socket.end();
    else socket.resetAndDestroy();
  }
  await Promise.all(gone);
  process.send?.({ gone: sockets.length });
});
process.on("disconnect", () => process.exit());
