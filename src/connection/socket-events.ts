import type { WebSocket } from "ws";
import { NativeSocket } from "./native-transport.ts";

/** Who is told what happens to a socket; a connection is such. */
export interface SocketOwner {
  /** `readElsewhere`: somebody else listens to its messages too. */
  received(data: Buffer, binary: boolean, readElsewhere: boolean): void;
  /** The client sent a ping; `ws` has answered it. */
  pinged(): void;
  /** Something came from the client, so it is there. */
  alive(): void;
  ended(code: number, reason: string): void;
  /** One of these has thrown: nobody knows what state that left. MUST NOT throw. */
  crashed(error: unknown): void;
  /** MUST NOT throw. */
  report(error: unknown, stage: string): void;
}

const OWNER = Symbol("roomcast.connection");

type OwnedSocket = WebSocket & { [OWNER]?: SocketOwner };

/** Whether a socket is a connection's already. */
export function isOwned(socket: WebSocket): boolean {
  return (socket as OwnedSocket)[OWNER] !== undefined;
}

/**
 * Hands what happens to a socket to its owner: one function for all sockets and each event, not a closure for
 * each connection. This is the seam `ws` calls us through: nothing that is thrown leaves it.
 */
export function listen(socket: WebSocket, owner: SocketOwner): void {
  (socket as OwnedSocket)[OWNER] = owner;
  socket.on("message", onMessage);
  socket.on("ping", onPing);
  socket.on("pong", onPong);
  socket.on("close", onClose);
  socket.on("error", onError);
}

function onMessage(this: OwnedSocket, data: Buffer, binary: boolean): void {
  const owner = this[OWNER];
  if (owner === undefined) return;
  try {
    const readElsewhere = !(this instanceof NativeSocket) && this.listenerCount("message") > 1;
    owner.received(data, binary, readElsewhere);
  } catch (error) {
    owner.crashed(error);
  }
}

function onPing(this: OwnedSocket): void {
  const owner = this[OWNER];
  try {
    owner?.pinged();
  } catch (error) {
    owner?.crashed(error);
  }
}

function onPong(this: OwnedSocket): void {
  this[OWNER]?.alive();
}

function onClose(this: OwnedSocket, code: number, reason: Buffer): void {
  const owner = this[OWNER];
  try {
    owner?.ended(code, reason.toString());
  } catch (error) {
    owner?.report(error, "socket");
  }
}

function onError(this: OwnedSocket, error: Error): void {
  this[OWNER]?.report(error, "socket");
}
