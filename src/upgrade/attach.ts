import type { IncomingMessage, Server } from "node:http";
import type { Server as SecureServer } from "node:https";
import type { Duplex } from "node:stream";
import { refuse } from "./request/handshake.ts";
import { answerAsRequest, offersWebSocket } from "./request/not-an-upgrade.ts";
import type { RoutePath } from "./route-path.ts";
import { destroyOnError } from "./upgrade.ts";

/** Node's servers, which emit `upgrade`. */
export type UpgradeServer = Server | SecureServer;

/** Who takes upgrades; a router is such. */
export interface Upgrader {
  /** What it serves, as far as others on its server must not serve it too. */
  readonly paths: readonly RoutePath[];
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
 * Returns all of them, in the order in which they are asked.
 *
 * @throws TypeError if it is no server, saying where to find it; or if two would serve a path.
 */
export function attachTo(server: UpgradeServer, upgrader: Upgrader): ReadonlySet<Upgrader> {
  checkServer(server);
  const known = UPGRADERS.get(server);
  if (known !== undefined) {
    for (const path of upgrader.paths) checkReach(known, upgrader, path);
    return known.add(upgrader);
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
  return upgraders;
}

/**
 * Looks whether a path that `owner` is about to serve takes the requests of another's, or they its own.
 *
 * @param upgraders in the order in which they are asked; `owner` may be none of them yet
 * @throws TypeError naming the path that would never be reached.
 */
export function checkReach(
  upgraders: ReadonlySet<Upgrader>,
  owner: Upgrader,
  path: RoutePath,
): void {
  let isFirst = false;
  for (const other of upgraders) {
    if (other === owner) {
      isFirst = true;
      continue;
    }
    for (const theirs of other.paths) {
      const [before, after] = isFirst ? [path, theirs] : [theirs, path];
      if (!before.covers(after)) continue;
      throw new TypeError(
        before.text === after.text
          ? `Another router of this server has a route ${path.text} already.`
          : `The route ${after.text} would never be reached: ${before.text} of another router of this server takes its requests.`,
      );
    }
  }
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
