import type { WebSocket } from "ws";
import { ForeignTransport } from "./foreign-transport.ts";
import { NativeSocket } from "./native-transport.ts";
import { listen, own, type SocketOwner } from "./socket-events.ts";
import type { Transport, TransportOwner } from "./transport.ts";

/** Makes the transport that fits a socket; its owner is told from now on what happens to the socket. */
export function openTransport(
  socket: WebSocket,
  owner: TransportOwner & SocketOwner,
  maxBufferedBytes: number,
  /** undefined: what the socket tells. */
  remoteAddress: string | undefined,
): Transport {
  own(socket, owner);
  if (socket instanceof NativeSocket) return socket.transport(owner, maxBufferedBytes);
  listen(socket, owner);
  return new ForeignTransport(socket, owner, maxBufferedBytes, remoteAddress);
}
