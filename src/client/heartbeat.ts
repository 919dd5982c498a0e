import type { ClientConfig } from "../protocol/client-config.ts";
import type { ClientSocket, Runtime } from "./runtime.ts";

const nothing = (): void => {};

/**
 * Pings the connection there is, measures how long the answers take, and ends it when nothing has come any more for
 * the ping interval and the timeout.
 */
export class Heartbeat {
  readonly #runtime: Runtime;
  readonly #config: ClientConfig;
  #socket: ClientSocket | null = null;
  #ping: ((id: number) => void) | null = null;
  #id = 0;
  #pingedAt = 0;
  #latency: number | null = null;
  #cancelPing = nothing;
  /** Null: nothing is waited for. */
  #cancelDeadline: (() => void) | null = null;

  constructor(runtime: Runtime, config: ClientConfig) {
    this.#runtime = runtime;
    this.#config = config;
  }

  /** The last round trip, in milliseconds; null: none was measured yet. */
  get latency(): number | null {
    return this.#latency;
  }

  /** Watches this socket. Without a way to ping it nothing can be noticed. */
  start(socket: ClientSocket, ping: ((id: number) => void) | null): void {
    this.#socket = socket;
    this.#ping = ping;
    this.#latency = null;
    this.beat();
  }

  /** Pings now, and from now on. */
  beat(): void {
    const { pingIntervalMs } = this.#config;
    this.#cancelPing();
    if (this.#ping === null || pingIntervalMs === null) return;
    this.#cancelPing = this.#runtime.schedule(pingIntervalMs, () => this.beat());
    if (this.#cancelDeadline !== null) return;
    this.#await();
    this.#pingedAt = this.#runtime.now();
    this.#ping(++this.#id);
  }

  /** Something came, so the other side is there. */
  heard(): void {
    this.#cancelDeadline?.();
    this.#cancelDeadline = null;
  }

  ponged(id: number): void {
    this.heard();
    if (id === this.#id) this.#latency = this.#runtime.now() - this.#pingedAt;
  }

  stop(): void {
    this.#cancelPing();
    this.heard();
  }

  #await(): void {
    this.#cancelDeadline = this.#runtime.schedule(this.#config.pingTimeoutMs, () => {
      // Where we are the ones not reading, a missing pong proves nothing.
      if (this.#socket?.held) this.#await();
      else this.#socket?.terminate();
    });
  }
}
