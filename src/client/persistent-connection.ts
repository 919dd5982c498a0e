import type { ClientConfig } from "../protocol/client-config.ts";
import {
  AuthenticationError,
  ConnectionClosedError,
  ConnectionFailedError,
} from "../protocol/errors.ts";
import type { Emitter } from "./events.ts";
import type { Heartbeat } from "./heartbeat.ts";
import type { WebSocketClientOptions } from "./options.ts";
import type { ReconnectPolicy, Wait } from "./reconnect-policy.ts";
import type { ClientSocket, HandshakeFailure, ReceivedMessage, Runtime } from "./runtime.ts";

/** What a client is doing. */
export type ClientState =
  /** `connect` was not called yet. */
  | "idle"
  | "connecting"
  | "open"
  /** Lost; waits for the next attempt, or makes it. */
  | "reconnecting"
  | "closing"
  /** For good, unless `connect` is called again. */
  | "closed";

/** Where to, how, and how to come back. */
export interface Destination {
  readonly runtime: Runtime;
  readonly url: string;
  readonly options: WebSocketClientOptions;
  readonly config: ClientConfig;
  readonly policy: ReconnectPolicy;
  readonly events: Emitter;
  readonly heartbeat: Heartbeat;
  /** If this is one of several that are made one after another, and never comes back itself. */
  readonly succession: Succession | null;
}

/** What connections that are made one after another have in common. */
export interface Succession {
  readonly policy: ReconnectPolicy;
  /** When the next one may be made; undefined: there is to be none. */
  wait: Wait | undefined;
  /** Why there is to be none, unless the last one ended normally. */
  error: Error | undefined;
}

/** Whose connection it is. None of these may throw. */
export interface ConnectionOwner {
  opened(socket: ClientSocket): void;
  received(message: ReceivedMessage): void;
  /** The open connection is gone. */
  lost(): void;
  /** It is over, normally or not. */
  finished(error: ConnectionClosedError, isNormal: boolean): void;
}

/** An attempt to connect, from when it is planned. */
interface Attempt {
  resolve(): void;
  reject(error: unknown): void;
}

const nothing = (): void => {};

/** Keeps one connection: makes it, and makes it again as the policy has it. Never two attempts at a time. */
export class PersistentConnection {
  readonly #to: Destination;
  readonly #owner: ConnectionOwner;
  #state: ClientState = "idle";
  #attempt: Attempt | null = null;
  #attempted: Promise<void> = Promise.resolve();
  /** For how long the attempt has to wait yet; null: it is being made. */
  #wait: Wait | null = null;
  /** Of the attempt, and then of the connection. */
  #socket: ClientSocket | null = null;
  /** What this side closes with. */
  #closing: ConnectionClosedError | null = null;
  #closed: Promise<void> = Promise.resolve();
  #resolveClosed = nothing;
  #cancelTimer = nothing;
  #stopWatching = nothing;

  constructor(to: Destination, owner: ConnectionOwner) {
    this.#to = to;
    this.#owner = owner;
  }

  get state(): ClientState {
    return this.#state;
  }

  /** Connects, or tries at once if the next attempt is being waited for. Settles as that attempt does. */
  connect(): Promise<void> {
    const { runtime, policy, heartbeat, succession } = this.#to;
    if (this.#state === "idle" || this.#state === "closed") {
      this.#state = "connecting";
      this.#closing = null;
      this.#closed = new Promise((resolve) => {
        this.#resolveClosed = resolve;
      });
      this.#stopWatching = runtime.onWake(() => {
        policy.startAnew();
        if (this.#state === "open") heartbeat.beat();
        else if (this.#wait?.firm === false) this.#dial();
      });
      if (succession === null) policy.reset();
      this.#plan(succession?.wait);
    } else if (this.#wait !== null) this.#dial();
    return this.#attempted;
  }

  /** Ends it for good. Resolves when it has ended. */
  close(error: ConnectionClosedError): Promise<void> {
    const { runtime, config } = this.#to;
    const socket = this.#socket;
    const attempt = this.#attempt;
    if (this.#state === "open") {
      this.#closing = error;
      this.#state = "closing";
      socket?.hold?.(false);
      socket?.close(error.closeCode, error.reason);
      this.#cancelTimer = runtime.schedule(config.closeTimeoutMs, () => socket?.terminate());
    } else if (attempt !== null) {
      this.#finish(error, true);
      socket?.terminate();
      attempt.reject(error);
    }
    return this.#closed;
  }

  /** Makes an attempt: now, or when it is due. Returns in how many milliseconds; null: nobody knows. */
  #plan(wait: Wait | undefined): number | null {
    const { runtime } = this.#to;
    this.#attempted = new Promise((resolve, reject) => {
      this.#attempt = { resolve, reject };
    });
    // Not everybody wants to know how it goes.
    this.#attempted.catch(nothing);
    if (wait === undefined) {
      this.#dial();
      return 0;
    }
    this.#wait = wait;
    // Without a network there is nothing to try; coming online wakes us.
    if (!wait.firm && !runtime.isOnline()) return null;
    this.#cancelTimer = runtime.schedule(wait.delayMs, () => this.#dial());
    return wait.delayMs;
  }

  async #dial(): Promise<void> {
    const { runtime, url, options, config, heartbeat } = this.#to;
    const { headers = {}, subprotocols: protocols = [], token } = options;
    const attempt = this.#attempt;
    this.#wait = null;
    this.#cancelTimer();
    try {
      const credential = typeof token === "function" ? await token() : token;
      // Closed while the token was fetched.
      if (this.#attempt !== attempt) return;
      const { maxMessageSize, openTimeoutMs } = config;
      let late: HandshakeFailure | undefined;
      const socket = runtime.open(
        url,
        { headers, protocols, token: credential, maxMessageSize },
        {
          opened: () => this.#opened(socket),
          received: (message) => {
            heartbeat.heard();
            this.#owner.received(message);
          },
          ponged: (id) => heartbeat.ponged(id),
          ended: (code, reason, failure) => {
            // Closed during the handshake.
            if (this.#socket !== socket) return;
            if (failure === null) this.#lost(code, reason);
            else this.#failed(late ?? failure);
          },
        },
      );
      this.#socket = socket;
      this.#cancelTimer = runtime.schedule(openTimeoutMs, () => {
        const message = `The handshake took longer than ${openTimeoutMs} ms.`;
        late = { error: new ConnectionFailedError(message) };
        socket.terminate();
      });
    } catch (cause) {
      if (this.#attempt !== attempt) return;
      const message = `No attempt could be made: ${cause}`;
      this.#failed({ error: new ConnectionFailedError(message, { cause }) });
    }
  }

  #opened(socket: ClientSocket): void {
    const { runtime, policy, succession } = this.#to;
    const attempt = this.#attempt;
    if (succession !== null) succession.wait = undefined;
    this.#attempt = null;
    this.#cancelTimer();
    this.#state = "open";
    policy.opened(runtime.now());
    this.#owner.opened(socket);
    attempt?.resolve();
  }

  #failed(failure: HandshakeFailure): void {
    const { policy, succession, events } = this.#to;
    const { error, unauthorized } = failure;
    const attempt = this.#attempt;
    // The first attempt is not repeated, but for a token that has to be renewed.
    const isFirst = this.#state === "connecting" && succession === null;
    if (isFirst && unauthorized && policy.renew() !== null) {
      this.#dial();
      return;
    }
    if (this.#state === "reconnecting") events.emit("error", error);
    const wait = isFirst ? null : policy.afterFailure(failure);
    this.#end(new ConnectionClosedError(1006, "", { cause: error }), false, wait);
    attempt?.reject(error);
  }

  #lost(code: number, reason: string): void {
    const { policy, runtime, events, heartbeat } = this.#to;
    heartbeat.stop();
    this.#owner.lost();
    if (this.#closing !== null) {
      this.#finish(this.#closing, true);
      return;
    }
    const wait = policy.afterClose(code, runtime.now());
    const isNormal = code === 1000;
    const cause =
      code === 4401 ? new AuthenticationError("The credential is not valid any more.") : undefined;
    const error = new ConnectionClosedError(code, reason, { cause });
    if (wait === null && !isNormal) events.emit("error", cause ?? error);
    this.#end(error, isNormal, wait);
  }

  /** The connection or the attempt is over. Plans the next, if there is to be one here. */
  #end(error: ConnectionClosedError, isNormal: boolean, wait: Wait | null): void {
    const { policy, succession, events } = this.#to;
    if (succession !== null) {
      succession.wait = wait ?? undefined;
      succession.error = wait === null && !isNormal ? error : undefined;
    } else if (wait !== null) {
      this.#cancelTimer();
      this.#socket = null;
      this.#state = "reconnecting";
      const delayMs = this.#plan(wait);
      const { closeCode: code, reason } = error;
      events.emit("reconnecting", { attempt: policy.attempt, delayMs, code, reason });
      return;
    }
    this.#finish(error, isNormal);
  }

  #finish(error: ConnectionClosedError, isNormal: boolean): void {
    this.#state = "closed";
    this.#attempt = null;
    this.#wait = null;
    this.#socket = null;
    this.#cancelTimer();
    this.#stopWatching();
    this.#owner.finished(error, isNormal);
    this.#resolveClosed();
  }
}
