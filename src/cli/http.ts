import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Authenticator } from "../auth/authenticator.ts";
import type { ConnectionManager } from "../server/connection-manager.ts";
import { accessOf } from "./access.ts";
import { callApi } from "./api.ts";
import { FOREIGN_HOST } from "./host-check.ts";
import { HttpError } from "./http-error.ts";
import { sendError, sendJson } from "./http-json.ts";
import { METRICS_TYPE, metricsOf } from "./metrics.ts";
import type { OperatorGuard } from "./operator-guard.ts";
import { OPERATORS_PATH } from "./operators.ts";
import { loadPages } from "./pages.ts";
import { readinessOf } from "./readiness.ts";

/** Answers one path; `GET` and `HEAD` alike. */
type Endpoint = (response: ServerResponse, request: IncomingMessage) => void | Promise<void>;

/** What is for operators alone, with everything below it. */
const OPERATOR_PATHS = ["/api", "/dashboard", "/metrics", "/ws/stats"];

/** Requests that may wait for their answers on one connection. */
const MAX_WAITING = 32;

/** Who may ask for what. */
export interface HttpRules {
  /** With more resident memory than this an instance is not ready; null: no limit. */
  readonly maxMemoryBytes: number | null;
  readonly guard: OperatorGuard;
  /** Who clients of `/ws` are; null: nobody is authenticated. */
  readonly authenticate: Authenticator | null;
  /** Whether a request is for this server at all. */
  readonly isForUs: (request: IncomingMessage) => boolean;
}

/** The HTTP side of the server: its pages, its API, and what it says of itself. */
export function makeHttpHandler(manager: ConnectionManager, rules: HttpRules): RequestListener {
  const pages = loadPages();
  const { guard, isForUs } = rules;
  const endpoints = makeEndpoints(manager, rules);

  /** A person who may not see the dashboard gets the page all the same, which has nothing to tell and asks for the key. */
  const admits = (request: IncomingMessage, response: ServerResponse, path: string): boolean => {
    try {
      guard.check(request);
      return true;
    } catch (error) {
      const page = path === "/dashboard" ? pages.get(path) : undefined;
      const isPerson = request.headers.accept?.includes("text/html") === true;
      if (!(error instanceof HttpError) || page === undefined || !isPerson) throw error;
      for (const [name, value] of Object.entries(error.headers)) response.setHeader(name, value);
      page(response, error.status);
      return false;
    }
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const [path = "/", query] = (request.url ?? "/").split("?", 2);
    if (!isForUs(request)) throw new HttpError(403, "forbidden", FOREIGN_HOST);
    if (isForOperators(path) && !admits(request, response, path)) return;
    if (isBelow(path, "/api")) {
      const result = await callApi(manager, request, path, new URLSearchParams(query));
      return sendJson(response, result === undefined ? 204 : 200, result);
    }
    const [endpoint, page] = [endpoints.get(path), pages.get(path)];
    if (endpoint === undefined && page === undefined)
      throw new HttpError(404, "not_found", "There is nothing here.");
    if (request.method !== "GET" && request.method !== "HEAD") {
      const headers = { Allow: "GET, HEAD" };
      throw new HttpError(405, "method_not_allowed", "Allowed here: GET, HEAD.", headers);
    }
    await endpoint?.(response, request);
    if (endpoint === undefined) page?.(response);
  };

  /** How many requests of a connection have no answer yet. */
  const waiting: WeakMap<Socket, number> = new WeakMap();

  return (request, response) => {
    const { socket } = request;
    const before = waiting.get(socket) ?? 0;
    if (before >= MAX_WAITING) {
      socket.destroy();
      return;
    }
    waiting.set(socket, before + 1);
    response.once("close", () => waiting.set(socket, (waiting.get(socket) ?? 1) - 1));
    answer(request, response)
      .catch((error) => {
        if (sendError(response, error)) manager.reportError(error, "http");
      })
      // Not even the answer could be sent.
      .catch((error) => {
        response.destroy();
        manager.reportError(error, "http");
      });
  };
}

/** What is answered besides the pages and `/api`, by its path. */
export function makeEndpoints(
  manager: ConnectionManager,
  { authenticate, maxMemoryBytes }: Pick<HttpRules, "authenticate" | "maxMemoryBytes">,
): ReadonlyMap<string, Endpoint> {
  const metrics = metricsOf(manager);
  const ready = async (response: ServerResponse): Promise<void> => {
    const { status, body } = await readinessOf(manager, maxMemoryBytes);
    sendJson(response, status, body);
  };
  return new Map<string, Endpoint>([
    ["/health", ready],
    ["/health/ready", ready],
    ["/health/live", (response) => sendJson(response, 200, { status: "alive" })],
    ["/health/websocket", async (response) => sendJson(response, 200, await manager.health())],
    [
      "/ws/access",
      async (response, request) => sendJson(response, 200, await accessOf(request, authenticate)),
    ],
    ["/ws/stats", (response) => sendJson(response, 200, manager.stats())],
    [
      "/metrics",
      async (response) => {
        const text = await metrics();
        response.writeHead(200, { "Content-Type": METRICS_TYPE, "Cache-Control": "no-store" });
        response.end(text);
      },
    ],
    ["/ws", askForUpgrade],
    [OPERATORS_PATH, askForUpgrade],
  ]);
}

/** RFC 9110 section 15.5.22. */
function askForUpgrade(): never {
  const headers = { Upgrade: "websocket", Connection: "Upgrade" };
  throw new HttpError(426, "upgrade_required", "Connect here with a WebSocket.", headers);
}

function isForOperators(path: string): boolean {
  return OPERATOR_PATHS.some((guarded) => isBelow(path, guarded));
}

function isBelow(path: string, parent: string): boolean {
  return path === parent || path.startsWith(`${parent}/`) || path.startsWith(`${parent}.`);
}
