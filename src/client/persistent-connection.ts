import type { ClientConfig } from "../protocol/client-config.ts";
import {
  AuthenticationError,
  ConnectionClosedError,
  ConnectionFailedError,
} from "../protocol/errors.ts";
import type { CloseEvent, Emitter } from "./events.ts";
import type { Goodbye, ReconnectPolicy, Wait } from "./reconnect-policy.ts";
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

/** Whose connection it is. None of these may throw. */
export interface ConnectionOwner {
  opened(socket: ClientSocket): void;
  received(message: ReceivedMessage): void;
  ponged(id: number): void;
  /** The open connection is gone. */
  lost(): void;
  /** The device is back, so the connection had better be looked at. */
  woke(): void;
  /** It is over; the error is null after a normal end. `wait`: when another one may be made, null: not. */
  finished(event: CloseEvent, error: ConnectionClosedError | null, wait: Wait | null): void;
}

/** Where to, as whom, and how to come back. */
export interface Destination {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly protocols: readonly string[];
  readonly token: string | (() => string | Promise<string>) | undefined;
  readonly policy: ReconnectPolicy;
  /** Whether somebody else makes the next connection. */
  readonly single: boolean;
}

/** A connection that lasted so long was a good one. */
const STABLE_MS = 5000;
const LOST: CloseEvent = { code: 1006, reason: "" };

interface Attempt {
  resolve(): void;
  reject(error: unknown): void;
}

/** Keeps one connection: makes it, and makes it again as the policy has it. Never two attempts at a time. */
export class PersistentConnection {
  readonly #runtime: Runtime;
  readonly #to: Destination;
  readonly #config: ClientConfig;
  readonly #events: Emitter;
  readonly #owner: ConnectionOwner;
  readonly #policy: ReconnectPolicy;
  #state: ClientState = "idle";
  /** The attempt there is, and what it resolves. */
  #attempt: Attempt | null = null;
  #attempted: Promise<void> = Promise.resolve();
  /** Of the attempt, and then of the connection. */
  #socket: ClientSocket | null = null;
  #openedAt = 0;
  #goodbye: Goodbye | null = null;
  /** Whether the server has to be left alone for now. */
  #firm = false;
  #cancelTimer: () => void = () => {};
  #stopWatching: () => void = () => {};
  /** What this side closed with. */
  #closing: CloseEvent | null = null;
  #whenClosed: (() => void)[] = [];

  constructor(
    runtime: Runtime,
    to: Destination,
    config: ClientConfig,
    events: Emitter,
    owner: ConnectionOwner,
  ) {
    this.#runtime = runtime;
    this.#to = to;
    this.#config = config;
    this.#events = events;
    this.#owner = owner;
    this.#policy = to.policy;
  }

  get state(): ClientState {
    return this.#state;
  }

  /** The server is about to close. */
  goodbye(goodbye: Goodbye): void {
    this.#goodbye = goodbye;
  }

  /** Connects, or tries at once if the next attempt is being waited for. Settles as that attempt does. */
  async connect(): Promise<void> {
    if (this.#state === "open" || this.#attempt !== null) return this.#attempted;
    if (this.#state !== "reconnecting") {
      this.#state = "connecting";
      this.#closing = null;
      if (!this.#to.single) this.#policy.stable();
      this.#stopWatching = this.#runtime.onWake(() => this.#woke());
    }
    return this.#try();
  }

  /** Ends it for good. Resolves when it has ended. */
  async close(event: CloseEvent): Promise<void> {
    if (this.#state === "idle" || this.#state === "closed") return;
    const closed = new Promise<void>((resolve) => this.#whenClosed.push(resolve));
    const socket = this.#socket;
    if (this.#state === "open" && socket !== null) {
      this.#closing = event;
      this.#state = "closing";
      socket.resume();
      socket.close(event.code, event.reason);
      const { closeTimeoutMs } = this.#config;
      this.#cancelTimer = this.#runtime.schedule(closeTimeoutMs, () => socket.terminate());
    } else if (this.#state !== "closing") {
      const attempt = this.#attempt;
      this.#attempt = null;
      socket?.terminate();
      this.#finish(event, null, null);
      attempt?.reject(new ConnectionClosedError(event.code, event.reason));
    }
    return closed;
  }

  /** The connection is dead, though nobody closed it. */
  terminate(): void {
    this.#socket?.terminate();
  }

  #woke(): void {
    this.#policy.startAnew();
    if (this.#state === "open") this.#owner.woke();
    else if (this.#attempt === null && !this.#firm) this.#try();
  }

  #try(): Promise<void> {
    this.#cancelTimer();
    this.#attempted = new Promise((resolve, reject) => {
      const attempt = { resolve, reject };
      this.#attempt = attempt;
      this.#dial(attempt).catch((cause: unknown) => {
        const error = new ConnectionFailedError(`No attempt could be made: ${cause}`, { cause });
        this.#failed(attempt, { error });
      });
    });
    // Not everybody wants to know how it goes.
    this.#attempted.catch(() => {});
    return this.#attempted;
  }

  async #dial(attempt: Attempt): Promise<void> {
    const { url, protocols, headers, token } = this.#to;
    const credential = typeof token === "function" ? await token() : token;
    // Closed while the token was fetched.
    if (this.#attempt !== attempt) return;
    const { maxMessageSize, openTimeoutMs } = this.#config;
    let late: HandshakeFailure | null = null;
    const socket = this.#runtime.open(
      url,
      { headers, protocols, token: credential, maxMessageSize },
      {
        opened: () => {
          if (this.#attempt === attempt) this.#opened(attempt, socket);
        },
        received: (message) => this.#owner.received(message),
        ponged: (id) => this.#owner.ponged(id),
        ended: (code, reason, failure) => {
          if (failure !== null) this.#failed(attempt, late ?? failure);
          else if (this.#socket === socket) this.#lost({ code, reason });
        },
      },
    );
    this.#socket = socket;
    this.#cancelTimer = this.#runtime.schedule(openTimeoutMs, () => {
      const message = `The handshake took longer than ${openTimeoutMs} ms.`;
      late = { error: new ConnectionFailedError(message) };
      socket.terminate();
    });
  }

  #opened(attempt: Attempt, socket: ClientSocket): void {
    this.#cancelTimer();
    this.#attempt = null;
    this.#state = "open";
    this.#openedAt = this.#runtime.now();
    this.#goodbye = null;
    this.#owner.opened(socket);
    attempt.resolve();
  }

  #failed(attempt: Attempt, failure: HandshakeFailure): void {
    if (this.#attempt !== attempt) return;
    this.#attempt = null;
    const { error, unauthorized } = failure;
    const { single } = this.#to;
    // The first attempt is not repeated, but for a token that has to be renewed.
    const isFirst = this.#state === "connecting" && !single;
    const wait = isFirst ? null : this.#policy.afterFailure(failure);
    if (isFirst && unauthorized && this.#policy.renew() !== null) {
      this.#try().then(attempt.resolve, attempt.reject);
      return;
    }
    if (this.#state === "reconnecting") this.#events.emit("error", error);
    this.#end(LOST, new ConnectionClosedError(LOST.code, "", { cause: error }), wait);
    attempt.reject(error);
  }

  #lost(event: CloseEvent): void {
    this.#cancelTimer();
    this.#owner.lost();
    if (this.#runtime.now() - this.#openedAt >= STABLE_MS) this.#policy.stable();
    if (this.#closing !== null) {
      this.#finish(this.#closing, null, null);
      return;
    }
    const { code, reason } = event;
    const wait = this.#policy.afterClose(code, this.#goodbye);
    if (code === 1000) {
      this.#finish(event, null, null);
      return;
    }
    const cause =
      code === 4401 ? new AuthenticationError("The credential is not valid any more.") : undefined;
    const error = new ConnectionClosedError(code, reason, cause && { cause });
    if (wait === null) this.#events.emit("error", cause ?? error);
    this.#end(event, error, wait);
  }

  /** Waits for the next attempt, if there is to be one here. */
  #end(event: CloseEvent, error: ConnectionClosedError, wait: Wait | null): void {
    this.#cancelTimer();
    this.#socket = null;
    if (wait === null || this.#to.single) {
      this.#finish(event, error, wait);
      return;
    }
    this.#state = "reconnecting";
    this.#firm = wait.firm;
    // Without a network there is nothing to try; coming online wakes us.
    const delayMs = wait.firm || this.#runtime.isOnline() ? wait.delayMs : null;
    if (delayMs !== null) {
      this.#cancelTimer = this.#runtime.schedule(delayMs, () => this.#try());
    }
    this.#events.emit("reconnecting", { attempt: this.#policy.attempt, delayMs, ...event });
  }

  #finish(event: CloseEvent, error: ConnectionClosedError | null, wait: Wait | null): void {
    this.#state = "closed";
    this.#socket = null;
    this.#cancelTimer();
    this.#stopWatching();
    this.#owner.finished(event, error, wait);
    for (const resolve of this.#whenClosed.splice(0)) resolve();
  }
}
