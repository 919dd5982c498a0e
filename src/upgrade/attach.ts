import type { IncomingMessage, Server } from "node:http";
import type { Server as SecureServer } from "node:https";
import type { Duplex } from "node:stream";
import { refuse } from "./request/handshake.ts";
import { answerAsRequest, offersWebSocket } from "./request/not-an-upgrade.ts";
import { destroyOnError } from "./upgrade.ts";

/** Node's servers, which emit `upgrade`. */
export type UpgradeServer = Server | SecureServer;

/** Who takes upgrades; a router is such. */
export interface Upgrader {
  /** Told of a request that nobody on its server serves: it may say so. */
  unserved(request: IncomingMessage): void;
  serves(request: IncomingMessage): boolean;
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

const UPGRADERS: WeakMap<UpgradeServer, Set<Upgrader>> = new WeakMap();

/**
 * Hands the upgrades of a server to whoever serves their path. All that are attached to one server share
 * one listener, so that each path finds its own and 404 is sent once. What is no upgrade to WebSocket is answered as the
 * request it is.
 *
 * @throws TypeError if it is no server, saying where to find it.
 */
export function attachTo(server: UpgradeServer, upgrader: Upgrader): void {
  checkServer(server);
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
    upgrader.unserved(request);
    socket.on("error", destroyOnError);
    refuse(socket, { status: 404 });
  });
}

/** What is passed in place of a server, and what is meant. */
function checkServer(server: unknown): void {
  if (typeof server === "function") {
    throw notServer(
      "not an application: give it the http.Server that app.listen returned, or createServer(app)",
    );
  }
  if (typeof server !== "object" || server === null) {
    throw notServer(`not ${server === null ? "null" : typeof server}: createServer() of node:http`);
  }
  if (isServer(server)) return;
  if ("getHttpServer" in server) throw notServer("not an application: give it app.getHttpServer()");
  if ("server" in server && isServer(server.server)) {
    throw notServer("not an application: give it app.server");
  }
  throw notServer("not an object that is none: give it what listen or serve returned");
}

/** Not `instanceof`: servers of other runtimes are of their own classes. */
function isServer(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const methods = ["on", "listenerCount", "listen", "address"];
  return methods.every((name) => typeof Reflect.get(value, name) === "function");
}

function notServer(why: string): TypeError {
  return new TypeError(`attach needs the http.Server, ${why}.`);
}
