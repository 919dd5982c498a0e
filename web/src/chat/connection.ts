import {
  AuthenticationError,
  ConnectionClosedError,
  ConnectionFailedError,
  WebSocketClient,
  WebSocketError,
} from "roomcast/client";
import { isTurnedAway } from "./access.ts";
import { closeReason } from "./close-reasons.ts";
import { type ClientMessage, readServerMessage, type ServerMessage } from "./protocol.ts";

export type ConnectionStatus =
  | { phase: "connecting" }
  | { phase: "connected"; latencyMs?: number }
  /** Lost; the next attempt is at `retryAt`, by `Date.now()`. */
  | { phase: "waiting"; retryAt: number }
  /** The device has no network; goes on when it has. */
  | { phase: "offline" }
  /** Will not try again by itself; `signIn`: not with this token, or without one. */
  | { phase: "stopped"; reason: string; signIn?: boolean };

/** A connection that comes back by itself. */
export interface ChatConnection {
  /** Sends now; what is sent while not connected is dropped. */
  send(message: ClientMessage): void;
  /** Tries at once instead of waiting, or again after it stopped. */
  retryNow(): void;
  /** Ends it for good; no event comes after this. */
  close(): void;
}

export interface ConnectionOptions {
  url: string;
  /** Sent as the subprotocol `bearer`, as browsers can set no header. */
  token?: string;
  onStatus(status: ConnectionStatus): void;
  onMessage(message: ServerMessage): void;
}

const CONFIG = {
  reconnectMaxAttempts: 0,
  reconnectBackoffMaxMs: 30_000,
  reconnectJitter: 0.5,
  pingTimeoutMs: 10_000,
};

/** A page that was opened while the server is away tries again so often; the client itself does not. */
const FIRST_RETRY_MS = 2000;
/** What the client ends with when its first attempt fails; it comes back from any other loss. */
const NEVER_OPENED = 1006;
const TOKEN_EXPIRED = 4401;
const LATENCY_EVERY_MS = 1000;

/** Opens a connection and keeps it. */
export function openConnection(options: ConnectionOptions): ChatConnection {
  return new ClientConnection(options);
}

class ClientConnection implements ChatConnection {
  readonly #client: WebSocketClient;
  readonly #options: ConnectionOptions;
  readonly #lifetime = new AbortController();
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #latencyTimer: ReturnType<typeof setInterval> | undefined;

  constructor(options: ConnectionOptions) {
    const { url, token } = options;
    this.#options = options;
    this.#client = new WebSocketClient(url, {
      config: CONFIG,
      subprotocols: ["roomcast.v1"],
      offlineQueue: 0,
      ...(token ? { token } : {}),
    });
    this.#client.on("open", () => this.#connected());
    this.#client.on("message", (message) => {
      const read = typeof message === "string" ? readServerMessage(message) : undefined;
      if (read) options.onMessage(read);
    });
    this.#client.on("reconnecting", ({ delayMs }) => {
      this.#tell(
        delayMs === null
          ? { phase: "offline" }
          : { phase: "waiting", retryAt: Date.now() + delayMs },
      );
    });
    this.#client.on("close", ({ code }) => {
      // A first attempt that failed is made again.
      if (code === NEVER_OPENED) return;
      const signIn = code === TOKEN_EXPIRED;
      this.#tell({ phase: "stopped", reason: closeReason(code), ...(signIn && { signIn }) });
    });
    this.#client.on("error", (error) => this.#failed(error));
    window.addEventListener("online", () => this.#backOnline(), { signal: this.#lifetime.signal });
    this.#connect();
  }

  send(message: ClientMessage): void {
    if (this.#client.isConnected) this.#client.sendJson(message).catch(() => {});
  }

  retryNow(): void {
    if (!this.#client.isConnected) this.#connect();
  }

  close(): void {
    this.#lifetime.abort();
    clearTimeout(this.#retryTimer);
    clearInterval(this.#latencyTimer);
    void this.#client.close();
  }

  #tell(status: ConnectionStatus): void {
    clearInterval(this.#latencyTimer);
    if (!this.#lifetime.signal.aborted) this.#options.onStatus(status);
  }

  #connect(): void {
    clearTimeout(this.#retryTimer);
    if (!navigator.onLine) {
      this.#tell({ phase: "offline" });
      return;
    }
    this.#tell({ phase: "connecting" });
    this.#client.connect().catch((error: Error) => {
      // Where it goes on by itself it says so.
      if (this.#client.state !== "closed" || !(error instanceof ConnectionFailedError)) return;
      void this.#tryLater();
    });
  }

  /** Unless the server would only refuse again. */
  async #tryLater(): Promise<void> {
    if (await isTurnedAway(this.#options.token)) {
      const reason = this.#options.token
        ? "The server does not take this token."
        : "The server asks for an access token.";
      this.#tell({ phase: "stopped", reason, signIn: true });
      return;
    }
    if (this.#lifetime.signal.aborted) return;
    const delayMs = FIRST_RETRY_MS * (1 - CONFIG.reconnectJitter * Math.random());
    this.#tell({ phase: "waiting", retryAt: Date.now() + delayMs });
    this.#retryTimer = setTimeout(() => this.#connect(), delayMs);
  }

  #connected(): void {
    this.#tell({ phase: "connected" });
    let shown: number | undefined;
    this.#latencyTimer = setInterval(() => {
      const latencyMs = Math.round(this.#client.latency ?? Number.NaN);
      if (Number.isNaN(latencyMs) || latencyMs === shown) return;
      shown = latencyMs;
      this.#options.onStatus({ phase: "connected", latencyMs });
    }, LATENCY_EVERY_MS);
  }

  /** What the server refused is for people to read; what happened to the connection shows in its status. */
  #failed(error: Error): void {
    const ofConnection = [ConnectionFailedError, ConnectionClosedError, AuthenticationError];
    if (!(error instanceof WebSocketError) || ofConnection.some((kind) => error instanceof kind)) {
      return;
    }
    this.#options.onMessage({ type: "error", code: error.code, text: error.message });
  }

  /** The client itself knows, unless it has never been connected. */
  #backOnline(): void {
    if (this.#client.state === "idle" || this.#client.state === "closed") this.#connect();
  }
}
