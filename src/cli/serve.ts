import cluster from "node:cluster";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import { ConfigurationError } from "../protocol/errors.ts";
import { fitsPattern } from "../protocol/pattern.ts";
import { ConnectionManager } from "../server/connection-manager.ts";
import { attachTo } from "../upgrade/attach.ts";
import { refuse } from "../upgrade/request/handshake.ts";
import { WebSocketRouter } from "../upgrade/router.ts";
import { destroyOnError } from "../upgrade/upgrade.ts";
import { backplaneFor } from "./backplane.ts";
import { chatHandler } from "./chat.ts";
import { HistoryQuota } from "./history-quota.ts";
import { FOREIGN_HOST, makeHostCheck } from "./host-check.ts";
import { type HttpRules, makeHttpHandler } from "./http.ts";
import { identifyBy } from "./identity.ts";
import { OperatorGuard } from "./operator-guard.ts";
import { Operators } from "./operators.ts";
import { printable } from "./printable.ts";
import { authorizeByRoomClaim } from "./room-claim.ts";
import { readServeOptions, SERVE_HELP, type ServeOptions } from "./serve-options.ts";
import { runWorkers, whenToldToStop } from "./workers.ts";

export { SERVE_HELP };

/** How long after the last message the history of a room is kept. */
const HISTORY_TTL_MS = 86_400_000;
/** Requests one connection may make before it has to be opened anew. */
const MAX_REQUESTS = 1000;

/** The ready-made server. Resolves when it listens; ends the process when it was told to stop. */
export async function serve(args: readonly string[]): Promise<void> {
  const options = readServeOptions(args, process.env);
  if (options.workers > 1 && cluster.isPrimary) {
    announce(options, await runWorkers(options.workers));
    return;
  }
  const manager = await makeManager(options);
  const authenticate = await identifyBy(options.jwt);
  const router = new WebSocketRouter(manager, {
    authenticate,
    trustProxy: options.trustProxy,
    allowLoopbackOrigins: options.jwt === null,
    ...(options.origins !== undefined && { allowedOrigins: options.origins }),
  });
  const quota = new HistoryQuota({
    perUser: options.historyRoomsPerUser,
    inAll: options.historyMaxRooms,
    ttlMs: HISTORY_TTL_MS,
  });
  router.protected("/ws", { authorize: authorizeByRoomClaim }, chatHandler(manager, quota));
  const isForUs = makeHostCheck(options);
  const guard = new OperatorGuard(options);
  const [operators, trouble] = await Promise.all([
    Operators.start(manager, options, guard),
    startManager(manager),
  ]);
  const server = makeServer(manager, options, {
    guard,
    authenticate: options.jwt === null ? null : authenticate,
    maxMemoryBytes: options.maxMemoryBytes,
    isForUs,
  });
  attachTo(server, {
    paths: router.paths,
    serves: (request) => !isForUs(request) || router.serves(request) || operators.serves(request),
    unserved: (request) => router.unserved(request),
    handleUpgrade(request, socket, head) {
      const served = operators.serves(request) ? operators : router;
      if (isForUs(request)) return served.handleUpgrade(request, socket, head);
      socket.on("error", destroyOnError);
      manager.logger.warnOnce("foreign_host", { status: 403 }, FOREIGN_HOST);
      refuse(socket, { status: 403 });
    },
  });
  await listen(server, options);
  stopWhenTold(manager, operators, server);
  if (cluster.isPrimary) announce(options, (server.address() as AddressInfo).port);
  if (trouble !== null && (cluster.isPrimary || cluster.worker?.id === 1)) console.log(trouble);
}

/** Starts it. Why it runs degraded, if it does: that is said in a line of its own, and not as an error. */
async function startManager(manager: ConnectionManager): Promise<string | null> {
  const reasons: unknown[] = [];
  const off = manager.on("error", (error, context) => {
    if (context.stage === "backplane") reasons.push(error);
    else manager.logger.error({ err: error, ...context }, "unhandled error");
  });
  await manager.start();
  off();
  if (manager.status !== "degraded") return null;
  const [reason] = reasons;
  const why = reason instanceof Error ? reason.message : "it does not answer";
  return (
    `Redis cannot be reached: ${printable(why)}. This process goes on by itself, degraded, and joins the others ` +
    "when Redis is there."
  );
}

function announce({ jwt, host }: ServeOptions, port: number): void {
  if (jwt === null) {
    console.log("Development mode: nobody is authenticated, clients choose their own names.");
  }
  const shown = host === "127.0.0.1" || host === "::1" ? "localhost" : host;
  const url = `http://${shown.includes(":") ? `[${shown}]` : shown}:${port}`;
  console.log(`Roomcast is listening on ${url} (stop with Ctrl-C)`);
}

async function makeManager({
  config,
  messagesPerSecond,
  historyRooms,
  historyRoomBytes: maxBytes,
  logLevel: level,
}: ServeOptions): Promise<ConnectionManager> {
  const maxLength = config.historyMaxLength;
  const durable = {
    // Whoever comes back gets whatever is there, as far as one resume may reach.
    history: {
      maxLength,
      maxBytes,
      ttlMs: HISTORY_TTL_MS,
      resumeLimit: Math.min(maxLength, 10_000),
    },
    whenUnavailable: "ephemeral",
  } as const;
  return new ConnectionManager({
    backplane: await backplaneFor(config),
    config,
    limits: { messagesPerSecond },
    // The first that fits holds.
    rooms: fitsPattern("*", historyRooms)
      ? { "*": { announce: true, ...durable } }
      : { [historyRooms]: { announce: true, ...durable }, "*": { announce: true } },
    logger: pino({ base: { pid: process.pid }, level }, pino.destination(2)),
  });
}

/** Node's own limits on slow and oversized requests are wider than a WebSocket server needs. */
function makeServer(
  manager: ConnectionManager,
  { config }: ServeOptions,
  rules: HttpRules,
): Server {
  const limits = {
    headersTimeout: config.openTimeoutMs,
    requestTimeout: Math.max(30_000, config.openTimeoutMs),
    connectionsCheckingInterval: 2000,
    maxHeaderSize: 16_384,
  };
  const server = createServer(limits, makeHttpHandler(manager, rules));
  server.maxHeadersCount = 100;
  server.maxRequestsPerSocket = MAX_REQUESTS;
  // Who goes on all the same is not answered that, request by request.
  server.on("dropRequest", (_request, socket) => socket.destroy());
  return server;
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

/** The first time it is told to, the server drains; the second time the process ends at once. */
function stopWhenTold(manager: ConnectionManager, operators: Operators, server: Server): void {
  const begin = (why: string): void => {
    console.log(`${why}: saying goodbye to ${manager.connectionCount} connections.`);
    stop(manager, operators, server).then(
      () => process.exit(0),
      (error) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  whenToldToStop(begin, () => process.exit(1));
}

async function stop(
  manager: ConnectionManager,
  operators: Operators,
  server: Server,
): Promise<void> {
  await manager.stop({ message: { type: "system", message: "The server is restarting." } });
  await operators.stop();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
