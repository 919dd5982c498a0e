import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import type { Connection } from "../../src/connection/connection.ts";
import { freePort } from "../support/free-port.ts";
import { startManager } from "../support/manager-server.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import type { Place } from "./place.ts";

/** Servers for the behaviours of the client, and what they can do to them. */
export interface Servers extends Omit<Place, "api"> {
  /** A page of the same origin, for browsers. */
  readonly pageUrl: string;
  dispose(): Promise<void>;
}

/** @param serve answers HTTP requests for files of the page; undefined: there is none such. */
export async function startServers(
  serve: (path: string) => string | undefined = () => undefined,
): Promise<Servers> {
  const asked = new Map<string, string[]>();
  const interrupted = new Set<string>();
  const manager = await startManager({
    rooms: {
      "chat:*": { history: { maxLength: 1000 } },
      "short:*": { history: { maxLength: 3, resumeLimit: 3 } },
    },
    router: {
      authenticate: (request, { token }) => {
        const id = new URLSearchParams(request.url?.split("?")[1]).get("user") ?? token;
        return id === null ? null : { id, scopes: [], claims: {}, via: "test" };
      },
    },
  });

  const answer = async (connection: Connection, message: unknown): Promise<unknown> => {
    const text = String(message);
    const name = connection.userId ?? "";
    asked.set(name, [...(asked.get(name) ?? []), text]);
    const [verb = "", argument = ""] = text.split(" ");
    switch (verb) {
      case "echo":
        return void (await connection.send(argument));
      case "close":
        return connection.close(Number(argument));
      case "join":
        return connection.join(argument);
      case "fail":
        throw new Error("as it was told");
      case "never":
        return new Promise(() => {});
      case "who":
        return name;
      case "interrupt":
        if (!interrupted.has(name)) connection.close(4000);
        interrupted.add(name);
        return "interrupted";
    }
    try {
      const { sum, type, room } = JSON.parse(text);
      // As a client without the subprotocol asks for rooms.
      if (type === "join") return await connection.join(room);
      if (type === "leave") return await connection.leave(room);
      return sum.reduce((total: number, each: number) => total + each, 0);
    } catch {
      return `not JSON: ${text}`;
    }
  };
  for (const path of ["/v1", "/v1/token"]) {
    manager.router.protected(
      path,
      { authorize: (_connection, room) => !room.startsWith("secret:") },
      { message: answer },
    );
  }
  // Where clients do not choose their rooms.
  manager.router.protected("/v1/fixed", {
    open: (connection) => connection.join("plain:fixed"),
    message: answer,
  });
  manager.manager.on("error", () => {});
  manager.server.on("request", (request, response) => {
    const file = serve(request.url ?? "/");
    const type = request.url?.endsWith(".js") ? "text/javascript" : "text/html";
    response.writeHead(file === undefined ? 404 : 200, { "Content-Type": type });
    response.end(file);
  });

  const echo = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  echo.on("connection", (socket) => {
    socket.on("message", (data, binary) => socket.send(data, { binary }));
  });
  await once(echo, "listening");
  const proxy = await startTcpProxy(Number(new URL(manager.url).port));
  const origin = `127.0.0.1:${proxy.port}`;
  return {
    url: `ws://${origin}/v1`,
    echoUrl: `ws://127.0.0.1:${(echo.address() as AddressInfo).port}`,
    deadUrl: `ws://127.0.0.1:${await freePort()}`,
    pageUrl: `http://${origin}/`,
    network: async (state) => proxy[state](),
    publish: async (room, text) => {
      await manager.manager.broadcastToRoom(room, text);
    },
    asked: async (name) => asked.get(name) ?? [],
    dispose: async () => {
      for (const socket of echo.clients) socket.terminate();
      echo.close();
      await proxy.dispose();
      await manager.dispose();
    },
  };
}
