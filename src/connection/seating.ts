import type { WebSocket } from "ws";
import type { Seats } from "../limits/seats.ts";

const SEAT = Symbol("roomcast.seat");

type SeatedSocket = WebSocket & {
  [SEAT]?: { readonly seats: Seats; readonly group: string | null };
};

/** Gives a socket the seat that was taken for it; it is free again when the socket has closed. */
export function seat(socket: WebSocket, seats: Seats, group: string | null): void {
  (socket as SeatedSocket)[SEAT] = { seats, group };
  socket.on("close", freeSeat);
}

// One function for all sockets, not a closure for each.
function freeSeat(this: SeatedSocket): void {
  this[SEAT]?.seats.free(this[SEAT].group);
}
