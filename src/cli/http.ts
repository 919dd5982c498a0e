import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { ConnectionManager } from "../server/connection-manager.ts";
import { loadPages } from "./pages.ts";

/** Answers one path; `GET` and `HEAD` alike. */
type Endpoint = (response: ServerResponse) => void | Promise<void>;

/** The HTTP side of the server: its pages and what it says of itself. */
export function makeHttpHandler(manager: ConnectionManager): RequestListener {
  const pages = loadPages();
  const health = async (response: ServerResponse): Promise<void> =>
    sendJson(response, 200, await manager.health());
  const ready = async (response: ServerResponse): Promise<void> => {
    const answer = await manager.health();
    sendJson(response, answer.status === "healthy" ? 200 : 503, answer);
  };
  const endpoints: ReadonlyMap<string, Endpoint> = new Map([
    ["/health", ready],
    ["/health/ready", ready],
    ["/health/live", (response: ServerResponse) => sendJson(response, 200, { status: "alive" })],
    ["/health/websocket", health],
    ["/ws/stats", (response: ServerResponse) => sendJson(response, 200, manager.stats())],
  ]);

  return (request, response) => {
    const path = pathOf(request);
    const endpoint = endpoints.get(path) ?? pages.get(path);
    if (endpoint === undefined) return sendJson(response, 404, { error: "not found" });
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("Allow", "GET, HEAD");
      return sendJson(response, 405, { error: "method not allowed" });
    }
    Promise.resolve(endpoint(response)).catch((error) => {
      manager.reportError(error, "http");
      if (!response.headersSent) sendJson(response, 500, { error: "internal error" });
    });
  };
}

function pathOf({ url = "/" }: IncomingMessage): string {
  return url.split("?", 1)[0] ?? "/";
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value);
  response.writeHead(status, {
    "Content-Type": "application/json; charset=utf-8",
    "Content-Length": Buffer.byteLength(body),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
  });
  response.end(body);
}
