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
import {
  type Attempt,
  type ClientState,
  type Connecting,
  type End,
  type Phase,
  socketOf,
  stateOf,
} from "./phase.ts";
import type { Wait } from "./reconnect-policy.ts";

/** The reason where there have been as many attempts as there may be. */
const GAVE_UP = "gave up, by config.reconnectMaxAttempts";

/**
 * Keeps one connection: makes it, and makes it again as the policy has it. Never two attempts at a time. What it is
 * in is one `Phase`, and events are told from the phase they speak of.
 */
export class PersistentConnection {
  readonly #to: ClientParts;
  #phase: Phase = { name: "idle" };
  /** Settles at the end. Undefined: there has been no beginning. */
  #over: Deferred<void> | undefined;
  /** What `close` was called with last. */
  #told: ConnectionClosedError | undefined;
  #stopWatching: () => void = nothing;

  constructor(to: ClientParts) {
    this.#to = to;
  }

  get state(): ClientState {
    return stateOf(this.#phase);
  }

  /** The open connection, if there is one. */
  get socket(): ClientSocket | undefined {
    return socketOf(this.#phase);
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
      phase.attempt.made.reject(end.error.cause ?? end.error);
    }
    return over?.promise;
  }

  readonly #abort = (): void => {
    const cause = this.#to.options.signal?.reason;
    this.close({ error: new ConnectionClosedError(1000, "", { cause }), isNormal: true });
  };

  #begin(): Promise<void> {
    const { options, runtime, policy, sendQueue, receiveQueue, succession } = this.#to;
    this.#over = deferred();
    options.signal?.addEventListener("abort", this.#abort);
    this.#stopWatching = runtime.onWake((why) => this.#wake(why));
    sendQueue.begin();
    receiveQueue.begin();
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
        opened: () => this.#opened(phase, socket),
        received: (message) => this.#received(message, socket),
        ponged: (id) => heartbeat.ponged(id),
        ended: (code, reason, failure) => {
          if (this.socket === socket) this.#lost(code, reason);
          else this.#failed(phase, failure);
        },
      },
    );
    phase.socket = socket;
  }

  #opened(phase: Connecting, socket: ClientSocket): void {
    if (this.#phase !== phase) return;
    const { isFirst, made } = phase.attempt;
    const { succession, policy, runtime, sendQueue, receiveQueue, events } = this.#to;
    if (succession) succession.wait = undefined;
    this.#enter({ name: "open", socket });
    policy.opened(runtime.now());
    greet(socket, this.#to);
    receiveQueue.open(socket);
    sendQueue.open(socket);
    events.emit("open", { reconnected: !isFirst });
    made.resolve();
  }

  #received(message: ReceivedMessage, socket: ClientSocket): void {
    if (this.socket !== socket) return;
    const { heartbeat, receiveQueue } = this.#to;
    heartbeat.heard();
    if (socket.protocol === SUBPROTOCOL) takeFrame(message, socket, this.#to);
    else receiveQueue.push(message, {});
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
    const { policy, heartbeat, runtime, sendQueue, receiveQueue } = this.#to;
    const phase = this.#phase;
    heartbeat.stop();
    sendQueue.open(undefined);
    receiveQueue.open(undefined);
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
    const { events, options, sendQueue, receiveQueue } = this.#to;
    this.#enter({ name: "closed" });
    this.#stopWatching();
    options.signal?.removeEventListener("abort", this.#abort);
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
    if (before.name === "connecting" && phase.name !== "open") before.socket?.terminate();
  }
}
