import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import { ConfigurationError } from "../protocol/errors.ts";
import { ConnectionManager } from "../server/connection-manager.ts";
import { WebSocketRouter } from "../server/router.ts";
import { chatHandler } from "./chat.ts";
import { identifyByQuery } from "./development-identity.ts";
import { makeHttpHandler } from "./http.ts";
import { readServeOptions, SERVE_HELP, type ServeOptions } from "./serve-options.ts";

export { SERVE_HELP };

/** The ready-made server. Resolves when it listens; ends the process when it was told to stop. */
export async function serve(args: readonly string[]): Promise<void> {
  const options = readServeOptions(args, process.env);
  const logger = pino({ base: { pid: process.pid } }, pino.destination(2));
  const manager = new ConnectionManager({
    config: options.config,
    rooms: {
      "*": {
        announce: true,
        history: { maxLength: options.config.historyMaxLength },
        whenUnavailable: "ephemeral",
      },
    },
    logger,
  });
  const router = new WebSocketRouter(manager, { authenticate: identifyByQuery });
  router.protected("/ws", chatHandler(manager));
  // Node's own limits on slow and oversized requests are wider than a WebSocket server needs.
  const server = createServer(
    { headersTimeout: 10_000, connectionsCheckingInterval: 2000, maxHeaderSize: 16_384 },
    makeHttpHandler(manager),
  );
  server.maxHeadersCount = 100;
  router.attach(server);
  await manager.start();
  await listen(server, options);
  stopOnSignals(manager, server);
  console.log("Development mode: nobody is authenticated, clients choose their own names.");
  console.log(`Roomcast is listening on ${urlOf(server, options.host)} (stop with Ctrl-C)`);
}

async function listen(server: Server, { port, host }: ServeOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(explain(error, port, host)));
    server.listen(port, host, resolve);
  });
}

function explain(error: NodeJS.ErrnoException, port: number, host: string): Error {
  const say = (why: string): Error => new ConfigurationError(why, { cause: error });
  switch (error.code) {
    case "EADDRINUSE":
      return say(`Port ${port} on ${host} is in use. Choose another one with PORT or --port.`);
    case "EACCES":
      return say(`Port ${port} needs rights this process does not have. Choose one above 1023.`);
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return say(`HOST is ${JSON.stringify(host)}, which is not an address of this machine.`);
    default:
      return error;
  }
}

function urlOf(server: Server, host: string): string {
  const { port } = server.address() as AddressInfo;
  const shown = host === "127.0.0.1" || host === "::1" ? "localhost" : host;
  return `http://${shown.includes(":") ? `[${shown}]` : shown}:${port}`;
}

/** The first signal drains, a second one ends the process at once. */
function stopOnSignals(manager: ConnectionManager, server: Server): void {
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(1);
    stopping = true;
    console.log(`${signal}: saying goodbye to ${manager.connectionCount} connections.`);
    stop(manager, server).then(
      () => process.exit(0),
      (error) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
}

async function stop(manager: ConnectionManager, server: Server): Promise<void> {
  await manager.stop({ message: { type: "system", message: "The server is restarting." } });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
