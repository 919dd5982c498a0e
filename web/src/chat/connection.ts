import { type ClientMessage, readServerMessage, type ServerMessage } from "./protocol.ts";
import { afterClose } from "./reconnect.ts";

export type ConnectionStatus =
  | { phase: "connecting" }
  | { phase: "connected"; latencyMs?: number }
  /** Lost; the next attempt is at `retryAt`, by `Date.now()`. */
  | { phase: "waiting"; retryAt: number }
  /** The device has no network; goes on when it has. */
  | { phase: "offline" }
  /** Will not try again by itself. */
  | { phase: "stopped"; reason: string };

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

const PING_EVERY_MS = 20_000;
const PONG_WITHIN_MS = 10_000;

/** A connection that lasted this long was a good one: attempts are counted anew. */
const STABLE_AFTER_MS = 5_000;

/** Opens a connection and keeps it. */
export function openConnection(options: ConnectionOptions): ChatConnection {
  return new ReconnectingConnection(options);
}

class ReconnectingConnection implements ChatConnection {
  readonly #options: ConnectionOptions;
  readonly #lifetime = new AbortController();
  #socket: WebSocket | undefined;
  #openedAt = 0;
  #attempt = 0;
  #stopped = false;
  #spreadMs: number | undefined;
  #pingSentAt: number | undefined;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #pingTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { signal } = this.#lifetime;
    window.addEventListener("online", () => this.#lookAfter(), { signal });
    document.addEventListener("visibilitychange", () => this.#lookAfter(), { signal });
    this.#connect();
  }

  send(message: ClientMessage): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  retryNow(): void {
    if (this.#socket) return;
    this.#attempt = 0;
    this.#connect();
  }

  close(): void {
    this.#stopped = true;
    this.#lifetime.abort();
    const socket = this.#release();
    socket?.close(1000);
  }

  #connect(): void {
    clearTimeout(this.#retryTimer);
    this.#stopped = false;
    if (!navigator.onLine) {
      this.#options.onStatus({ phase: "offline" });
      return;
    }
    this.#options.onStatus({ phase: "connecting" });
    const { url, token } = this.#options;
    const socket = new WebSocket(url, token ? ["bearer", token] : []);
    this.#socket = socket;
    // A socket that was given up on may still have something to say; nobody listens to it then.
    const whileCurrent =
      <E>(listener: (event: E) => void) =>
      (event: E) => {
        if (this.#socket === socket) listener(event);
      };
    socket.addEventListener("open", whileCurrent(this.#opened));
    socket.addEventListener("message", whileCurrent(this.#received));
    socket.addEventListener("close", whileCurrent(this.#closed));
  }

  readonly #opened = (): void => {
    this.#openedAt = Date.now();
    this.#options.onStatus({ phase: "connected" });
    this.#ping();
  };

  readonly #received = (event: MessageEvent<unknown>): void => {
    const message = typeof event.data === "string" ? readServerMessage(event.data) : undefined;
    if (message?.type === "pong") this.#ponged();
    else if (message?.type === "goodbye") this.#spreadMs = message.afterMs;
    else if (message) this.#options.onMessage(message);
  };

  readonly #closed = (event: CloseEvent): void => this.#lost(event.code);

  #lost(code: number): void {
    this.#release();
    if (this.#openedAt && Date.now() - this.#openedAt >= STABLE_AFTER_MS) this.#attempt = 0;
    this.#openedAt = 0;
    this.#attempt++;
    const step = afterClose({
      code,
      attempt: this.#attempt,
      random: Math.random(),
      ...(this.#spreadMs ? { spreadMs: this.#spreadMs } : {}),
    });
    this.#spreadMs = undefined;
    if ("stop" in step) {
      this.#stopped = true;
      this.#options.onStatus({ phase: "stopped", reason: step.stop });
    } else if (navigator.onLine) {
      this.#options.onStatus({ phase: "waiting", retryAt: Date.now() + step.retryInMs });
      this.#retryTimer = setTimeout(() => this.#connect(), step.retryInMs);
    } else {
      this.#options.onStatus({ phase: "offline" });
    }
  }

  #release(): WebSocket | undefined {
    const socket = this.#socket;
    this.#socket = undefined;
    clearTimeout(this.#pingTimer);
    clearTimeout(this.#retryTimer);
    this.#pingSentAt = undefined;
    return socket;
  }

  #ping(): void {
    clearTimeout(this.#pingTimer);
    this.#pingSentAt = performance.now();
    this.send({ type: "ping" });
    this.#pingTimer = setTimeout(() => this.#giveUp(), PONG_WITHIN_MS);
  }

  #ponged(): void {
    if (this.#pingSentAt === undefined) return;
    const latencyMs = Math.round(performance.now() - this.#pingSentAt);
    this.#pingSentAt = undefined;
    this.#options.onStatus({ phase: "connected", latencyMs });
    clearTimeout(this.#pingTimer);
    this.#pingTimer = setTimeout(() => this.#ping(), PING_EVERY_MS);
  }

  /** The other side is silent. Its answer to a close would not come either, so nobody waits for it. */
  #giveUp(): void {
    this.#socket?.close();
    this.#lost(1006);
  }

  /** Timers of a hidden page are late and its network may have changed: look at once. */
  #lookAfter(): void {
    if (!navigator.onLine || document.hidden) return;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#ping();
    else if (!this.#stopped) this.retryNow();
  }
}
