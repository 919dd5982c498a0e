import type { Socket } from "node:net";
import { connectRaw } from "./raw-client.ts";

/** Connections that say nothing but answer pings, so that what the server uses is for holding them. */
const PING = 0x89;
/** A masked pong without payload (RFC 6455 section 5.5.3); the mask is 0. */
const PONG = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);
/** So many handshakes are under way at a time. */
const ABREAST = 50;

const sockets: Socket[] = [];

async function open(port: number, number: number): Promise<void> {
  const socket = await connectRaw(
    port,
    (bytes) => {
      if (bytes[0] === PING) socket.write(PONG);
    },
    `/?user=user${number}`,
  );
  sockets.push(socket);
}

/** While it connects it never sleeps: waking a processor would cost whichever server keeps it waiting. */
let isConnecting = false;
function stayAwake(): void {
  if (isConnecting) setImmediate(stayAwake);
}

process.on("message", async ({ port, connections }: { port: number; connections: number }) => {
  let next = sockets.length;
  const openSome = async (): Promise<void> => {
    while (next < connections) await open(port, next++);
  };
  isConnecting = true;
  stayAwake();
  await Promise.all(Array.from({ length: ABREAST }, openSome));
  isConnecting = false;
  process.send?.({ connections: sockets.length });
});
process.on("disconnect", () => process.exit());
