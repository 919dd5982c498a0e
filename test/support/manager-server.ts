import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Connection } from "../../src/connection/connection.ts";
import { ConnectionManager } from "../../src/server/connection-manager.ts";
import type { ConnectionManagerOptions } from "../../src/server/options.ts";
import { WebSocketRouter, type WebSocketRouterOptions } from "../../src/upgrade/router.ts";
import { Client } from "./client.ts";

export interface ManagerServer {
  readonly manager: ConnectionManager;
  readonly router: WebSocketRouter;
  readonly server: Server;
  readonly url: string;
  /** A client on `/`, and its connection on this side. */
  connect(user?: string): Promise<{ client: Client; connection: Connection }>;
  dispose(): Promise<void>;
}

export interface ManagerServerOptions extends ConnectionManagerOptions {
  readonly router?: WebSocketRouterOptions;
  /** Whether to start the manager. Default true. */
  readonly start?: boolean;
}

/**
 * A manager on a real server on a free port. `/?user=alice` connects as alice; messages are left to the
 * test.
 */
export async function startManager(options: ManagerServerOptions = {}): Promise<ManagerServer> {
  const { router: routerOptions, start = true, ...managerOptions } = options;
  const manager = new ConnectionManager({ offlineGraceMs: 0, ...managerOptions });
  const router = new WebSocketRouter(manager, {
    authenticate: (request) => {
      const id = new URLSearchParams(request.url?.split("?")[1]).get("user");
      return id === null ? null : { id, scopes: [], claims: {}, via: "test" };
    },
    ...routerOptions,
  });
  const opened: Connection[] = [];
  const handler = (connection: Connection): void => void opened.push(connection);
  router.public("/anonymous", { open: handler, message: () => {} });
  router.protected("/", { open: handler, message: () => {} });
  const server = createServer();
  router.attach(server);
  if (start) await manager.start();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    manager,
    router,
    server,
    url,
    connect: async (user) => {
      const path = user === undefined ? "/anonymous" : `/?user=${encodeURIComponent(user)}`;
      const client = await Client.connect(url + path);
      const connection = opened.shift();
      if (connection === undefined) throw new Error("The connection was not opened.");
      return { client, connection };
    },
    dispose: async () => {
      await manager.stop();
      server.closeAllConnections();
      server.close();
    },
  };
}
