import type { IncomingMessage, Server } from "node:http";
import type { Server as SecureServer } from "node:https";
import type { Duplex } from "node:stream";
import { refuse } from "./handshake.ts";
import { answerAsRequest, offersWebSocket } from "./not-an-upgrade.ts";
import { destroyOnError } from "./upgrade.ts";

/** Node's servers, which emit `upgrade`. */
export type UpgradeServer = Server | SecureServer;

/** Who takes upgrades; a router is such. */
export interface Upgrader {
  serves(request: IncomingMessage): boolean;
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

const UPGRADERS: WeakMap<UpgradeServer, Set<Upgrader>> = new WeakMap();

/**
 * Hands the upgrades of a server to whoever serves their path. All that are attached to one server share
 * one listener, so that each path finds its own and 404 is sent once. What is no upgrade to WebSocket is answered as the
 * request it is.
 */
export function attachTo(server: UpgradeServer, upgrader: Upgrader): void {
  const known = UPGRADERS.get(server);
  if (known !== undefined) {
    known.add(upgrader);
    return;
  }
  const upgraders = new Set([upgrader]);
  UPGRADERS.set(server, upgraders);
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // It may be for somebody else.
    const isOnlyListener = server.listenerCount("upgrade") === 1;
    if (!offersWebSocket(request) && isOnlyListener && server.listenerCount("request") > 0) {
      return answerAsRequest(server, request, socket, head);
    }
    for (const candidate of upgraders) {
      if (candidate.serves(request)) return candidate.handleUpgrade(request, socket, head);
    }
    if (!isOnlyListener) return;
    socket.on("error", destroyOnError);
    refuse(socket, { status: 404 });
  });
}
