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
import {
  type ClientSocket,
  type HandshakeFailure,
  nothing,
  type ReceivedMessage,
  type Runtime,
} from "./runtime.ts";

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
  readonly succession: Succession | undefined;
}

/** What connections that are made one after another have in common. */
export interface Succession {
  policy?: ReconnectPolicy;
  /** When the next one may be made; absent: there is to be none. */
  wait?: Wait | undefined;
  /** Why there is to be none; absent if the last one ended normally. */
  error?: Error | undefined;
}

/** Whose connection it is. None of these may throw. */
export interface ConnectionOwner {
  /** It begins, or begins anew. */
  began(): void;
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

/** Keeps one connection: makes it, and makes it again as the policy has it. Never two attempts at a time. */
export interface PersistentConnection {
  readonly state: ClientState;
  /** Connects, or tries at once if the next attempt is being waited for. Settles as that attempt does. */
  connect(): Promise<void>;
  /** Ends it for good. Resolves when it has ended. */
  close(error: ConnectionClosedError): Promise<void>;
}

export function createPersistentConnection(
  { runtime, url, options, config, policy, events, heartbeat, succession }: Destination,
  owner: ConnectionOwner,
): PersistentConnection {
  const { token, signal } = options;
  let state: ClientState = "idle";
  let attempt: Attempt | undefined;
  let attempted: Promise<void> | undefined;
  /** For how long the attempt has to wait yet; undefined: it is being made. */
  let waiting: Wait | undefined;
  /** Of the attempt, and then of the connection. */
  let socket: ClientSocket | undefined;
  /** What `close` was called with last. */
  let told: ConnectionClosedError | undefined;
  /** What this side closes with. */
  let closing: ConnectionClosedError | undefined;
  let closed: Promise<void> | undefined;
  let resolveClosed = nothing;
  let cancelTimer = nothing;
  let stopWatching = nothing;

  async function connect(): Promise<void> {
    const before = told;
    // The end comes first; then it begins anew.
    if (state === "closing") await closed;
    signal?.throwIfAborted();
    // `close` was called meanwhile.
    if (told !== before) throw told;
    if (waiting) dial();
    if (state === "idle" || state === "closed") {
      state = "connecting";
      closing = undefined;
      closed = new Promise((resolve) => {
        resolveClosed = resolve;
      });
      signal?.addEventListener("abort", abort);
      stopWatching = runtime.onWake(() => {
        policy.reset();
        if (state === "open") heartbeat.beat();
        else if (waiting?.firm === false) dial();
      });
      owner.began();
      if (!succession) policy.reset();
      plan(succession?.wait);
    }
    return attempted;
  }

  async function close(error: ConnectionClosedError): Promise<void> {
    const ending = socket;
    const current = attempt;
    const over = closed;
    told = error;
    if (state === "open") {
      closing = error;
      state = "closing";
      ending?.close(error.closeCode, error.reason);
      cancelTimer = runtime.schedule(config.closeTimeoutMs, () => ending?.terminate());
    } else if (current) {
      finish(error, true);
      ending?.terminate();
      current.reject(error.cause ?? error);
    }
    return over;
  }

  function abort(): void {
    close(new ConnectionClosedError(1000, "", { cause: signal?.reason }));
  }

  /** Makes an attempt: now, or when it is due. Returns in how many milliseconds; null: nobody knows. */
  function plan(wait?: Wait): number | null {
    attempted = new Promise((resolve, reject) => {
      attempt = { resolve, reject };
    });
    // Not everybody wants to know how it goes.
    attempted.catch(nothing);
    waiting = wait;
    // Without a network there is nothing to try; coming online wakes us.
    if (wait && !wait.firm && !runtime.isOnline()) return null;
    if (wait) cancelTimer = runtime.schedule(wait.delayMs, dial);
    else dial();
    return wait?.delayMs ?? 0;
  }

  async function dial(): Promise<void> {
    const current = attempt;
    const { maxMessageSize, openTimeoutMs } = config;
    waiting = undefined;
    cancelTimer();
    cancelTimer = runtime.schedule(openTimeoutMs, () => {
      const late = socket;
      socket = undefined;
      late?.terminate();
      failed({ error: new ConnectionFailedError(`No handshake within ${openTimeoutMs} ms.`) });
    });
    try {
      const credential = typeof token === "function" ? await token() : token;
      // Over while the token was fetched.
      if (attempt !== current) return;
      const dialed = runtime.open(
        url,
        { ...options, token: credential, maxMessageSize },
        {
          opened: () => opened(dialed),
          received: (message) => {
            heartbeat.heard();
            owner.received(message);
          },
          ponged: heartbeat.ponged,
          ended: (code, reason, failure) => {
            // Not one whose handshake was ended by this side.
            if (socket !== dialed) return;
            if (failure) failed(failure);
            else lost(code, reason);
          },
        },
      );
      socket = dialed;
    } catch (cause) {
      const error = new ConnectionFailedError(`No attempt: ${cause}`, { cause });
      if (attempt === current) failed({ error });
    }
  }

  function opened(by: ClientSocket): void {
    const current = attempt;
    if (succession) succession.wait = undefined;
    attempt = undefined;
    cancelTimer();
    state = "open";
    policy.opened(runtime.now());
    owner.opened(by);
    current?.resolve();
  }

  function failed(failure: HandshakeFailure): void {
    const { error } = failure;
    const current = attempt;
    // The first attempt is not repeated, but for a token that has to be renewed.
    const isFirst = state === "connecting" && !succession;
    if (isFirst && failure.unauthorized && policy.renew()) {
      dial();
      return;
    }
    if (state === "reconnecting") events.emit("error", error);
    // Closed by a listener.
    if (attempt !== current) return;
    const wait = isFirst ? undefined : policy.afterFailure(failure);
    end(new ConnectionClosedError(1006, "", { cause: error }), false, wait);
    current?.reject(error);
  }

  function lost(code: number, reason: string): void {
    heartbeat.stop();
    owner.lost();
    if (closing) {
      finish(closing, true);
      return;
    }
    const wait = policy.afterClose(code, runtime.now());
    const isNormal = code === 1000;
    const cause =
      code === 4401 ? new AuthenticationError("The credential was refused.") : undefined;
    const error = new ConnectionClosedError(code, reason, { cause });
    if (!wait && !isNormal) events.emit("error", cause ?? error);
    end(error, isNormal, wait);
  }

  /** The connection or the attempt is over. Plans the next, if there is to be one here. */
  function end(error: ConnectionClosedError, isNormal: boolean, wait: Wait | undefined): void {
    if (succession) {
      succession.wait = wait;
      succession.error = wait || isNormal ? undefined : error;
    }
    if (succession || !wait) {
      finish(error, isNormal);
      return;
    }
    cancelTimer();
    socket = undefined;
    state = "reconnecting";
    const delayMs = plan(wait);
    const { closeCode: code, reason } = error;
    events.emit("reconnecting", { attempt: wait.attempt, delayMs, code, reason });
  }

  function finish(error: ConnectionClosedError, isNormal: boolean): void {
    state = "closed";
    attempt = undefined;
    waiting = undefined;
    socket = undefined;
    cancelTimer();
    stopWatching();
    signal?.removeEventListener("abort", abort);
    // Before a listener begins anew.
    resolveClosed();
    owner.finished(error, isNormal);
  }

  return {
    get state() {
      return state;
    },
    connect,
    close,
  };
}
