import type { ClientConfig } from "../../protocol/client-config.ts";
import {
  AuthenticationError,
  ConnectionClosedError,
  ConnectionFailedError,
} from "../../protocol/errors.ts";
import type { Emitter } from "../events.ts";
import type { ReceivedMessage, WebSocketClientOptions } from "../options.ts";
import {
  type ClientSocket,
  type HandshakeFailure,
  nothing,
  type Runtime,
} from "../runtime/runtime.ts";
import { fetchToken } from "../token.ts";
import type { Heartbeat } from "./heartbeat.ts";
import {
  type Attempt,
  type ClientState,
  type Connecting,
  type Deferred,
  deferred,
  type End,
  type Phase,
  socketOf,
  stateOf,
} from "./phase.ts";
import type { ReconnectPolicy, Wait } from "./reconnect-policy.ts";

/** The reason where there have been as many attempts as there may be. */
const GAVE_UP = "gave up, by config.reconnectMaxAttempts";

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
  ended(error: ConnectionClosedError, isNormal: boolean): void;
}

/**
 * Keeps one connection: makes it, and makes it again as the policy has it. Never two attempts at a time. What it is
 * in is one `Phase`, and events are told from the phase they speak of.
 */
export class PersistentConnection {
  readonly #to: Destination;
  readonly #owner: ConnectionOwner;
  #phase: Phase = { name: "idle" };
  /** Settles at the end. Undefined: there has been no beginning. */
  #over: Deferred | undefined;
  /** What `close` was called with last. */
  #told: ConnectionClosedError | undefined;
  #stopWatching: () => void = nothing;

  constructor(to: Destination, owner: ConnectionOwner) {
    this.#to = to;
    this.#owner = owner;
  }

  get state(): ClientState {
    return stateOf(this.#phase);
  }

  /** Connects, or tries at once if the next attempt is being waited for. Settles as that attempt does. */
  async connect(): Promise<void> {
    const before = this.#told;
    // The end comes first; then it begins anew.
    if (this.#phase.name === "closing") await this.#over?.promise;
    this.#to.options.signal?.throwIfAborted();
    // `close` was called meanwhile.
    if (this.#told !== before) throw this.#told;
    const phase = this.#phase;
    if (phase.name === "connecting") return phase.attempt.made.promise;
    if (phase.name === "waiting") return this.#dial(phase.attempt);
    if (phase.name !== "open") return this.#begin();
  }

  /** Ends it for good, by the application's wish or because it has to be. Resolves when it has ended. */
  async close(end: End): Promise<void> {
    const phase = this.#phase;
    const over = this.#over;
    this.#told = end.error;
    if (phase.name === "open") {
      const { socket } = phase;
      const { closeTimeoutMs } = this.#to.config;
      const cancelTimer = this.#to.runtime.schedule(closeTimeoutMs, () => socket.terminate());
      this.#enter({ name: "closing", socket, end, cancelTimer });
      socket.close(end.error.closeCode, end.error.reason);
    } else if (phase.name === "connecting" || phase.name === "waiting") {
      this.#finish(end);
      if (phase.name === "connecting") phase.socket?.terminate();
      phase.attempt.made.reject(end.error.cause ?? end.error);
    }
    return over?.promise;
  }

  readonly #abort = (): void => {
    const cause = this.#to.options.signal?.reason;
    this.close({ error: new ConnectionClosedError(1000, "", { cause }), isNormal: true });
  };

  #begin(): Promise<void> {
    const { options, runtime, policy, succession } = this.#to;
    this.#over = deferred();
    options.signal?.addEventListener("abort", this.#abort);
    this.#stopWatching = runtime.onWake((why) => this.#wake(why));
    this.#owner.began();
    if (!succession) policy.reset();
    const attempt: Attempt = { isFirst: true, made: deferred() };
    if (!succession?.wait) return this.#dial(attempt);
    this.#plan(attempt, succession.wait);
    return attempt.made.promise;
  }

  #wake(why: "online" | "visible"): void {
    const phase = this.#phase;
    const { policy, heartbeat } = this.#to;
    policy.reset();
    if (phase.name === "open") heartbeat.probe();
    else if (phase.name === "waiting" && !phase.wait.firm) this.#dial(phase.attempt);
    else if (phase.name === "connecting" && why === "online") {
      // What was sent into the network that is gone is never answered.
      this.#dial(phase.attempt);
      phase.socket?.terminate();
    }
  }

  /** Makes an attempt when it is due. Returns in how many milliseconds; null: nobody knows. */
  #plan(attempt: Attempt, wait: Wait): number | null {
    const { runtime } = this.#to;
    // Without a network there is nothing to try; coming online wakes us.
    const delayMs = wait.firm || runtime.isOnline() ? wait.delayMs : null;
    const cancelTimer =
      delayMs === null ? nothing : runtime.schedule(delayMs, () => this.#dial(attempt));
    this.#enter({ name: "waiting", attempt, wait, cancelTimer });
    return delayMs;
  }

  #dial(attempt: Attempt): Promise<void> {
    const { runtime, config } = this.#to;
    const cancelTimer = runtime.schedule(config.openTimeoutMs, () => {
      const message = `No handshake within ${config.openTimeoutMs} ms.`;
      this.#failed(phase, { error: new ConnectionFailedError(message) });
      phase.socket?.terminate();
    });
    const phase: Connecting = { name: "connecting", attempt, cancelTimer, socket: undefined };
    this.#enter(phase);
    this.#shakeHands(phase).catch((error) => this.#failed(phase, { error }));
    return attempt.made.promise;
  }

  async #shakeHands(phase: Connecting): Promise<void> {
    const { runtime, url, options, config, heartbeat } = this.#to;
    const token = await fetchToken(options.token);
    // Over while the token was fetched.
    if (this.#phase !== phase) return;
    const { maxMessageSize } = config;
    const socket = runtime.open(
      url,
      { ...options, token, maxMessageSize },
      {
        opened: () => {
          if (this.#phase === phase) this.#opened(phase, socket);
        },
        received: (message) => {
          heartbeat.heard();
          this.#owner.received(message);
        },
        ponged: (id) => heartbeat.ponged(id),
        ended: (code, reason, failure) => {
          if (failure) this.#failed(phase, failure);
          else if (socketOf(this.#phase) === socket) this.#lost(code, reason);
        },
      },
    );
    phase.socket = socket;
  }

  #opened({ attempt }: Connecting, socket: ClientSocket): void {
    const { succession, policy, runtime } = this.#to;
    if (succession) succession.wait = undefined;
    this.#enter({ name: "open", socket });
    policy.opened(runtime.now());
    this.#owner.opened(socket);
    attempt.made.resolve();
  }

  #failed(phase: Connecting, failure: HandshakeFailure): void {
    // Not one that was ended by this side.
    if (this.#phase !== phase) return;
    const { policy, succession } = this.#to;
    const { isFirst, made } = phase.attempt;
    const isSingle = isFirst && !succession;
    // The first attempt is not repeated, but for a token that has to be renewed.
    if (isSingle && failure.unauthorized && policy.renew()) {
      this.#dial(phase.attempt);
      return;
    }
    const wait = isSingle ? undefined : policy.afterFailure(failure);
    const { error: cause } = failure;
    const error = new ConnectionClosedError(1006, policy.isExhausted ? GAVE_UP : "", { cause });
    // The first to fail tells whoever waits for it.
    this.#comeBack({ error, isNormal: false, fault: isFirst ? undefined : cause }, wait);
    made.reject(cause);
  }

  #lost(code: number, reason: string): void {
    const { policy, heartbeat, runtime } = this.#to;
    const phase = this.#phase;
    heartbeat.stop();
    this.#owner.lost();
    if (phase.name === "closing") {
      this.#finish(phase.end);
      return;
    }
    const wait = policy.afterClose(code, runtime.now());
    const isNormal = code === 1000;
    const cause =
      code === 4401 ? new AuthenticationError("The credential was refused.") : undefined;
    const why = policy.isExhausted ? GAVE_UP : reason;
    const error = new ConnectionClosedError(code, why, { cause });
    const fault = wait || isNormal ? undefined : (cause ?? error);
    this.#comeBack({ error, isNormal, fault }, wait);
  }

  /** The connection or the attempt is over. Plans the next, if there is to be one here. */
  #comeBack(end: End, wait: Wait | undefined): void {
    const { succession, events } = this.#to;
    const { error, isNormal, fault } = end;
    if (succession) {
      succession.wait = wait;
      succession.error = wait || isNormal ? undefined : error;
    }
    if (succession || !wait) {
      this.#finish(end);
      return;
    }
    const delayMs = this.#plan({ isFirst: false, made: deferred() }, wait);
    const phase = this.#phase;
    // A listener may close it, or try at once.
    const isStill = (): boolean => this.#phase === phase;
    if (fault) events.emitWhile(isStill, "error", fault);
    const { closeCode: code, reason } = error;
    const event = { attempt: wait.attempt, delayMs, code, reason };
    events.emitWhile(isStill, "reconnecting", event);
  }

  #finish({ error, isNormal, fault }: End): void {
    this.#enter({ name: "closed" });
    this.#stopWatching();
    this.#to.options.signal?.removeEventListener("abort", this.#abort);
    // Before a listener begins anew.
    this.#over?.resolve();
    this.#owner.ended(error, isNormal);
    if (fault) this.#to.events.emit("error", fault);
    this.#to.events.emit("close", { code: error.closeCode, reason: error.reason });
  }

  #enter(phase: Phase): void {
    const { cancelTimer } = this.#phase as { cancelTimer?: () => void };
    cancelTimer?.();
    this.#phase = phase;
  }
}
