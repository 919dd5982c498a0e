import type { WebSocket } from "ws";
import type { ServerConnection } from "./server-connection.ts";

const CONNECTION = Symbol("roomcast.connection");

type OwnedSocket = WebSocket & { [CONNECTION]?: ServerConnection };

/** The connection a socket is registered as. */
export function connectionOf(socket: WebSocket): ServerConnection | undefined {
  return (socket as OwnedSocket)[CONNECTION];
}

/**
 * Hands what happens to a socket to its connection: one function for all sockets and each event, not a
 * closure for each connection.
 */
export function listen(socket: WebSocket, connection: ServerConnection): void {
  (socket as OwnedSocket)[CONNECTION] = connection;
  socket.on("message", onMessage);
  socket.on("ping", onPing);
  socket.on("pong", onSignOfLife);
  socket.on("close", onClose);
  socket.on("error", onError);
}

function onMessage(this: OwnedSocket, data: Buffer, binary: boolean): void {
  this[CONNECTION]?.receive(data, binary);
}

function onPing(this: OwnedSocket): void {
  this[CONNECTION]?.pinged();
}

function onSignOfLife(this: OwnedSocket): void {
  this[CONNECTION]?.alive();
}

function onClose(this: OwnedSocket, code: number, reason: Buffer): void {
  this[CONNECTION]?.ended(code, reason.toString());
}

function onError(this: OwnedSocket, error: Error): void {
  this[CONNECTION]?.report(error, "socket");
}
