import {
  AuthenticationError,
  ConnectionClosedError,
  ConnectionFailedError,
} from "../../protocol/errors.ts";
import { SUBPROTOCOL } from "../../protocol/roomcast-v1.ts";
import { type Deferred, deferred } from "../deferred.ts";
import type { ReceivedMessage } from "../options.ts";
import type { ClientParts } from "../parts.ts";
import { type ClientSocket, type HandshakeFailure, nothing } from "../runtime/runtime.ts";
import { fetchToken } from "../token.ts";
import { greet } from "../v1/greet.ts";
import { takeFrame } from "../v1/take-frame.ts";
import type { Attempt, ClientState, End, Phase, Trying } from "./phase.ts";
import type { Wait } from "./reconnect-policy.ts";

const NORMAL = 1000;
const ABNORMAL = 1006;
const UNAUTHORIZED = 4401;
/** The reason where there have been as many attempts as there may be. */
const GAVE_UP = "gave up, by config.reconnectMaxAttempts";

/** How a connection was lost, or an attempt failed. */
interface Loss {
  readonly code: number;
  readonly reason: string;
  readonly cause: Error | undefined;
  /** Whether `error` tells. */
  readonly isTold: boolean;
}

/**
 * Keeps one connection: makes it, and makes it again as the policy has it. Never two attempts at a time. What it is
 * in is one `Phase`, and events are told from the phase they speak of.
 */
export class PersistentConnection {
  readonly #to: ClientParts;
  #phase: Phase = { state: "idle" };
  /** Settles at the end. Undefined: there has been no beginning. */
  #over: Deferred<void> | undefined;
  /** What `close` was called with last. */
  #told: ConnectionClosedError | undefined;
  /** Whoever is listened to from the beginning to the end. */
  #watching: AbortController | undefined;

  constructor(to: ClientParts) {
    this.#to = to;
  }

  get state(): ClientState {
    return this.#phase.state;
  }

  /** The socket that is open, or was until this side closed it. */
  get socket(): ClientSocket | undefined {
    return "socket" in this.#phase ? this.#phase.socket : undefined;
  }

  /** Connects, or tries at once if the next attempt is being waited for. Settles as that attempt does. */
  async connect(): Promise<void> {
    const before = this.#told;
    // The end comes first; then it begins anew.
    if (this.state === "closing") await this.#over?.promise;
    this.#to.options.signal?.throwIfAborted();
    // `close` was called meanwhile.
    if (this.#told !== before) throw this.#told;
    const phase = this.#phase;
    if (phase.state === "open") return;
    if (!("made" in phase)) return this.#begin();
    if (phase.wait) this.#dial(phase);
    return phase.made.promise;
  }

  /** Ends it for good, by the application's wish or because it has to be. Resolves when it has ended. */
  async close(end: End): Promise<void> {
    const phase = this.#phase;
    const over = this.#over;
    const { error } = end;
    this.#told = error;
    if (phase.state === "open") {
      const { socket } = phase;
      const { config, runtime } = this.#to;
      const cancelTimer = runtime.schedule(config.closeTimeoutMs, () => socket.terminate());
      this.#enter({ state: "closing", socket, end, cancelTimer });
      socket.close(error.closeCode, error.reason);
    } else if ("made" in phase) {
      this.#finish(end);
      phase.made.reject(error.cause ?? error);
    }
    return over?.promise;
  }

  #begin(): Promise<void> {
    const { options, runtime, policy, sendQueue, receiveQueue, succession } = this.#to;
    const { signal } = options;
    const watching = new AbortController();
    const made = deferred<void>();
    this.#over = deferred();
    this.#watching = watching;
    const abort = (): void => {
      const error = new ConnectionClosedError(NORMAL, "", { cause: signal?.reason });
      this.close({ error, isNormal: true });
    };
    signal?.addEventListener("abort", abort);
    // By hand: of many listeners that share a signal Node.js forgets to remove all but one by itself.
    watching.signal.onabort = () => signal?.removeEventListener("abort", abort);
    runtime.onWake((why) => this.#wake(why), watching.signal);
    sendQueue.begin();
    receiveQueue.begin();
    const attempt: Attempt = { state: "connecting", made };
    if (!succession) policy.reset();
    if (succession?.wait) this.#plan(attempt, succession.wait);
    else this.#dial(attempt);
    return made.promise;
  }

  #wake(why: "online" | "visible"): void {
    const phase = this.#phase;
    const { policy, heartbeat } = this.#to;
    policy.reset();
    if (phase.state === "open") heartbeat.probe();
    // What was sent into a network that is gone is never answered.
    else if ("made" in phase && (phase.wait ? !phase.wait.firm : why === "online")) {
      this.#dial(phase);
    }
  }

  /** Makes an attempt when it is due. Returns in how many milliseconds; null: nobody knows. */
  #plan(attempt: Attempt, wait: Wait): number | null {
    const { runtime } = this.#to;
    // Without a network there is nothing to try; coming online wakes us.
    const delayMs = wait.firm || runtime.isOnline() ? wait.delayMs : null;
    const cancelTimer =
      delayMs === null ? nothing : runtime.schedule(delayMs, () => this.#dial(attempt));
    this.#enter({ ...attempt, wait, cancelTimer, handshake: undefined });
    return delayMs;
  }

  #dial({ state, made }: Attempt): void {
    const { runtime, config } = this.#to;
    const cancelTimer = runtime.schedule(config.openTimeoutMs, () => {
      const message = `No handshake within ${config.openTimeoutMs} ms.`;
      this.#failed(phase, { error: new ConnectionFailedError(message) });
    });
    const phase: Trying = { state, made, wait: undefined, cancelTimer, handshake: undefined };
    this.#enter(phase);
    this.#shakeHands(phase).catch((error) => this.#failed(phase, { error }));
  }

  async #shakeHands(phase: Trying): Promise<void> {
    const { runtime, url, options, config, heartbeat } = this.#to;
    const token = await fetchToken(options.token);
    // Over while the token was fetched.
    if (this.#phase !== phase) return;
    const socket = runtime.open(
      url,
      { ...options, ...config, token },
      {
        opened: () => this.#opened(phase, socket),
        received: (message) => this.#received(message, socket),
        ponged: (id) => heartbeat.ponged(id),
        ended: (code, reason, failure) => {
          if (this.socket === socket) this.#lost(code, reason);
          else this.#failed(phase, failure);
        },
      },
    );
    phase.handshake = socket;
  }

  #opened(phase: Trying, socket: ClientSocket): void {
    if (this.#phase !== phase) return;
    const { succession, policy, runtime, sendQueue, receiveQueue, events } = this.#to;
    if (succession) succession.wait = undefined;
    this.#enter({ state: "open", socket });
    policy.opened(runtime.now());
    greet(socket, this.#to);
    receiveQueue.open(socket);
    sendQueue.open(socket);
    events.emit("open", { reconnected: phase.state === "reconnecting" });
    phase.made.resolve();
  }

  #received(message: ReceivedMessage, socket: ClientSocket): void {
    if (this.socket !== socket) return;
    const { heartbeat, receiveQueue } = this.#to;
    heartbeat.heard();
    if (socket.protocol === SUBPROTOCOL) takeFrame(message, socket, this.#to);
    else receiveQueue.push(message, {});
  }

  #failed(phase: Trying, failure: HandshakeFailure): void {
    // Not one that was ended by this side.
    if (this.#phase !== phase) return;
    const { policy, runtime, succession } = this.#to;
    const { error: cause, code = ABNORMAL, retryAfterMs } = failure;
    const isFirst = phase.state === "connecting";
    const isSingle = isFirst && !succession?.wait;
    // The first attempt is not repeated, but for a token that has to be renewed.
    if (isSingle && code === UNAUTHORIZED && policy.renew()) {
      this.#dial(phase);
      return;
    }
    const wait = isSingle ? undefined : policy.afterEnd(code, runtime.now(), retryAfterMs);
    // The first to fail tells whoever waits for it.
    this.#comeBack(wait, { code: ABNORMAL, reason: "", cause, isTold: !isFirst });
    phase.made.reject(cause);
  }

  #lost(code: number, reason: string): void {
    const { policy, heartbeat, runtime, sendQueue, receiveQueue } = this.#to;
    const phase = this.#phase;
    heartbeat.stop();
    sendQueue.open(undefined);
    receiveQueue.open(undefined);
    if (phase.state === "closing") {
      this.#finish(phase.end);
      return;
    }
    const wait = policy.afterEnd(code, runtime.now());
    const isRefused = code === UNAUTHORIZED;
    const cause = isRefused ? new AuthenticationError("The credential was refused.") : undefined;
    this.#comeBack(wait, { code, reason, cause, isTold: !wait && code !== NORMAL });
  }

  /** The connection or the attempt is over. Plans the next, if there is to be one here. */
  #comeBack(wait: Wait | undefined, { code, reason, cause, isTold }: Loss): void {
    const { succession, events, policy } = this.#to;
    const why = policy.isExhausted ? GAVE_UP : reason;
    const error = new ConnectionClosedError(code, why, { cause });
    const isNormal = code === NORMAL;
    const fault = isTold ? (cause ?? error) : undefined;
    if (succession) {
      succession.wait = wait;
      succession.error = wait || isNormal ? undefined : error;
    }
    if (succession || !wait) {
      this.#finish({ error, isNormal, fault });
      return;
    }
    const delayMs = this.#plan({ state: "reconnecting", made: deferred() }, wait);
    const phase = this.#phase;
    // A listener may close it, or try at once.
    const isStill = (): boolean => this.#phase === phase;
    if (fault) events.emitWhile(isStill, "error", fault);
    events.emitWhile(isStill, "reconnecting", { attempt: wait.attempt, delayMs, code, reason });
  }

  #finish({ error, isNormal, fault }: End): void {
    const { events, sendQueue, receiveQueue } = this.#to;
    this.#enter({ state: "closed" });
    this.#watching?.abort();
    // Before a listener begins anew.
    this.#over?.resolve();
    sendQueue.end(error);
    receiveQueue.end(error, isNormal);
    if (fault) events.emit("error", fault);
    events.emit("close", { code: error.closeCode, reason: error.reason });
  }

  #enter(phase: Phase): void {
    const before = this.#phase;
    this.#phase = phase;
    if ("cancelTimer" in before) before.cancelTimer();
    // A handshake that is not waited for any more.
    if ("made" in before && phase.state !== "open") before.handshake?.terminate();
  }
}
