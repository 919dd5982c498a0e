import { randomBytes } from "node:crypto";
import type { WebSocket } from "ws";
import { ConnectionClosedError } from "../protocol/errors.ts";

/**
 * Pings the peer of an open socket. Resolves to the time until its pong, in milliseconds.
 *
 * @throws ConnectionClosedError (as a rejection) if the socket closes first.
 */
export function measureRoundTrip(socket: WebSocket): Promise<number> {
  const payload = randomBytes(8);
  const start = performance.now();
  return new Promise((resolve, reject) => {
    const onPong = (data: Buffer): void => {
      if (!data.equals(payload)) return;
      stop();
      resolve(performance.now() - start);
    };
    const onClose = (code: number): void => {
      stop();
      reject(new ConnectionClosedError(code));
    };
    const stop = (): void => {
      socket.off("pong", onPong);
      socket.off("close", onClose);
    };
    socket.on("pong", onPong);
    socket.on("close", onClose);
    socket.ping(payload);
  });
}
