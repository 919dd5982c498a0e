import type { WebSocket } from "ws";

/** Who is told what happens to a socket; a connection is such. */
export interface SocketOwner {
  /** `readElsewhere`: somebody else listens to its messages too. */
  received(data: Buffer, binary: boolean, readElsewhere: boolean): void;
  /** The client sent a ping; `ws` has answered it. */
  pinged(): void;
  /** The client sent a pong, asked for or not. */
  ponged(): void;
  ended(code: number, reason: string): void;
  /** One of these has thrown: nobody knows what state that left. MUST NOT throw. */
  crashed(error: unknown): void;
  /** MUST NOT throw. */
  report(error: unknown, stage: string): void;
}

/** The events of a `ws` socket that are for its owner. */
const EVENTS = ["message", "ping", "pong", "close", "error"] as const;

/**
 * Hands an event of a socket to its owner. This is the seam `ws` calls us through: nothing that is thrown leaves
 * it.
 */
export function tellOwner(
  owner: SocketOwner,
  event: string | symbol,
  first: unknown,
  second: unknown,
  readElsewhere: boolean,
): void {
  try {
    if (event === "message") owner.received(first as Buffer, second === true, readElsewhere);
    else if (event === "pong") owner.ponged();
    else if (event === "ping") owner.pinged();
    else if (event === "close") owner.ended(Number(first), String(second));
    else if (event === "error") owner.report(first, "socket");
  } catch (error) {
    owner.crashed(error);
  }
}

const OWNER = Symbol("roomcast.owner");

type OwnedSocket = WebSocket & { [OWNER]?: SocketOwner };

/** Whether a socket is a connection's already. */
export function isOwned(socket: WebSocket): boolean {
  return (socket as OwnedSocket)[OWNER] !== undefined;
}

/** Makes a socket a connection's. */
export function own(socket: WebSocket, owner: SocketOwner): void {
  (socket as OwnedSocket)[OWNER] = owner;
}

/** Listens to a socket that somebody else accepted; ours hand over their events by themselves. */
export function listen(socket: WebSocket, owner: SocketOwner): void {
  for (const event of EVENTS) {
    socket.on(event, (first?: unknown, second?: unknown) => {
      tellOwner(owner, event, first, second, socket.listenerCount("message") > 1);
    });
  }
}
