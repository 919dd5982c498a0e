import { SUBPROTOCOL } from "../../protocol/roomcast-v1.ts";
import type { ClientParts } from "../parts.ts";
import { type ClientSocket, nothing } from "../runtime/runtime.ts";

/** Tells the server something that is no message. What is lost with the connection shows in its end. */
export function tell(socket: ClientSocket | undefined, frame: object): void {
  socket?.send(JSON.stringify(frame)).catch(nothing);
}

/** Says where this client stands, and in which rooms it wants to be; from then on the connection is looked after. */
export function greet(socket: ClientSocket, { heartbeat, positions, rooms }: ClientParts): void {
  let { ping } = socket;
  if (socket.protocol === SUBPROTOCOL) {
    for (const frame of positions.resume(rooms.wanted)) tell(socket, frame);
    ping ??= (t) => tell(socket, { type: "ping", t });
  } else for (const room of rooms.wanted) tell(socket, { type: "join", room });
  heartbeat.start(socket, ping);
}
