import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { WebSocket } from "ws";
import { milliseconds } from "../figures.ts";
import { type Finding, fault, median, timed, warning, well } from "./finding.ts";

const PATIENCE_MS = 10_000;
const SAMPLES = 10;
const SLOW_MS = 200;

/** How a server looks from where clients are: through whatever is between. */
export async function examineServer(
  address: string,
  token: string | undefined,
  idleMs: number,
): Promise<Finding[]> {
  const findings = [await health(address)];
  const socket = new WebSocket(address.replace(/^http/, "ws"), {
    handshakeTimeout: PATIENCE_MS,
    ...(token !== undefined && { headers: { Authorization: `Bearer ${token}` } }),
  });
  try {
    const refusal = await opened(socket);
    if (refusal !== null) return [...findings, refusal];
    findings.push(well("upgrade", "a WebSocket gets through"), await roundTrips(socket));
    if (idleMs > 0) findings.push(await idle(socket, idleMs));
    return findings;
  } finally {
    socket.terminate();
  }
}

async function health(address: string): Promise<Finding> {
  const url = new URL("/health/ready", address);
  url.protocol = url.protocol.replace("ws", "http");
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (response.status === 200) return well("health", "ready");
    const advice =
      response.status === 503
        ? "It is degraded or draining; its log says why."
        : "This is not /health/ready of roomcast serve, or a proxy does not pass it on.";
    return warning("health", `${url.href} answers ${response.status}`, advice);
  } catch (error) {
    const why = error instanceof Error ? String(error.cause ?? error.message) : String(error);
    return fault(
      "health",
      `${url.href}: ${why}`,
      "Nothing answers there: is the address right, and the server up?",
    );
  }
}

/** null: it is open. */
async function opened(socket: WebSocket): Promise<Finding | null> {
  return new Promise((resolve) => {
    socket.once("open", () => resolve(null));
    socket.on("error", (error) => {
      resolve(fault("upgrade", error.message, "Is the address right, and the server up?"));
    });
    socket.once("unexpected-response", (_request, { statusCode = 0 }) => {
      const found = `the handshake was answered with ${statusCode}`;
      resolve(fault("upgrade", found, ADVICE[statusCode] ?? PROXY));
    });
  });
}

const PROXY =
  'A proxy is likely not to pass the upgrade on. NGINX: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade".';
const ADVICE: Readonly<Record<number, string>> = {
  400: PROXY,
  401: "It asks for a credential: give one with --token.",
  403: "The credential does not allow it; or an Origin is sent that is not in ROOMCAST_ORIGINS.",
  404: "There is no WebSocket at this path; roomcast serve has /ws.",
  426: PROXY,
  429: "Too many connections from this address.",
  502: "The proxy does not reach the server behind it.",
  503: "It is draining, or has as many connections as it may.",
};

async function roundTrips(socket: WebSocket): Promise<Finding> {
  const times: number[] = [];
  for (let i = 0; i < SAMPLES; i++) {
    times.push(
      await timed(async () => {
        const answered = once(socket, "pong", { signal: AbortSignal.timeout(PATIENCE_MS) });
        socket.ping();
        await answered;
      }),
    );
  }
  const found = `a ping takes ${milliseconds(median(times))}, at most ${milliseconds(Math.max(...times))}`;
  return median(times) > SLOW_MS
    ? warning(
        "round trip",
        found,
        "The server is far away, or its event loop is busy: see roomcast top.",
      )
    : well("round trip", found);
}

/** Says nothing for so long but answers pings, as a quiet client does. */
async function idle(socket: WebSocket, idleMs: number): Promise<Finding> {
  let code = 0;
  socket.once("close", (closed) => {
    code = closed;
  });
  const closed = once(socket, "close");
  await Promise.race([wait(idleMs), closed]);
  return socket.readyState === WebSocket.OPEN
    ? well("idle", `still there after ${milliseconds(idleMs)}`)
    : fault(
        "idle",
        `ended with ${code} before ${milliseconds(idleMs)} were over`,
        "A proxy gives up on quiet connections: raise its timeout (NGINX: proxy_read_timeout 3600s; HAProxy: timeout tunnel 1h), or let WS_PING_INTERVAL be shorter.",
      );
}
