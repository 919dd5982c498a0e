import { CloseCode } from "../protocol/close-codes.ts";
import { guarded } from "../protocol/guarded.ts";
import type { ServerConnection } from "./server-connection.ts";

/** What is kept to the clock, in milliseconds. */
export interface SweepTimes {
  /** How often each connection is pinged; null: never. */
  readonly pingIntervalMs: number | null;
  /** How long after a ping a connection may be silent. */
  readonly pingTimeoutMs: number;
  /** How long a message may take from its first byte to its last. */
  readonly messageTimeoutMs: number;
  /** How long after a credential expired its connection is closed. */
  readonly expiryGraceMs: number;
}

/** A ping interval is divided into so many turns, of at least `MIN_TURN_MS` and at most `MAX_TURN_MS`. */
const TURNS = 20;
const MAX_TURN_MS = 1000;
const MIN_TURN_MS = 10;
/** Those with something of their own to wait for are looked at at least this often. */
const MAX_PRESSING_MS = 500;
/** Whether a message has begun is looked at so often in the time that one may take. */
const LOOKS_AT_MESSAGES = 10;

/**
 * Pings every connection once in `pingIntervalMs` and ends it when it stays silent (4408), when it began a message and
 * does not finish it (1008), when its credential ends (4401); and lets dialects see to what they wait for. Three timers
 * for all. Connections lie in a wheel: each turn pings those of one slot, together, so that their answers come together
 * too, and looks whether those pinged one timeout ago have answered. Time is counted in turns: a process that was
 * blocked for longer than a timeout reads the answers that came meanwhile before anybody is taken for silent.
 */
export class Sweep {
  readonly #times: SweepTimes;
  readonly #failed: (error: unknown) => void;
  readonly #turnMs: number;
  readonly #wheel: readonly ServerConnection[][];
  /** A ping that nothing came after for so many turns was one too many. */
  readonly #timeoutTurns: number;
  #turn = 0;
  /** Those with a credential that ends, or a dialect. */
  readonly #pressing: Set<ServerConnection> = new Set();
  #timers: readonly NodeJS.Timeout[] = [];

  constructor(times: SweepTimes, failed: (error: unknown) => void) {
    this.#times = times;
    this.#failed = failed;
    const { pingIntervalMs, pingTimeoutMs } = times;
    const intervalMs = pingIntervalMs ?? pingTimeoutMs;
    const shortestMs = Math.min(intervalMs, pingTimeoutMs);
    this.#turnMs = Math.max(MIN_TURN_MS, Math.min(shortestMs / TURNS, MAX_TURN_MS));
    const slots = Math.max(1, Math.round(intervalMs / this.#turnMs));
    this.#wheel = Array.from({ length: slots }, () => []);
    this.#timeoutTurns = Math.ceil(pingTimeoutMs / this.#turnMs) + 1;
  }

  /** A connection was made. Its first ping comes somewhere in the interval, so that pings do not come in bursts. */
  add(connection: ServerConnection): void {
    const { dialect, expiresAt } = connection;
    if (dialect !== null || expiresAt < Number.POSITIVE_INFINITY) this.#pressing.add(connection);
    connection.slot = Math.floor(Math.random() * this.#wheel.length);
    connection.place = (this.#wheel[connection.slot]?.push(connection) ?? 0) - 1;
    if (this.#timers.length === 0) this.#start();
  }

  /** A connection is about to end. */
  delete(connection: ServerConnection): void {
    this.#pressing.delete(connection);
    const slot = this.#wheel[connection.slot] ?? [];
    if (slot[connection.place] !== connection) return;
    const last = slot.pop();
    // The last takes the place that became free, unless it was the one that went.
    if (last === undefined || last === connection) return;
    slot[connection.place] = last;
    last.place = connection.place;
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
  }

  #start(): void {
    const { messageTimeoutMs } = this.#times;
    const every = (ms: number, look: () => void): NodeJS.Timeout =>
      setInterval(guarded(look, this.#failed), ms).unref();
    this.#timers = [
      every(this.#turnMs, () => this.#takeTurn()),
      every(Math.max(MIN_TURN_MS, messageTimeoutMs / LOOKS_AT_MESSAGES), () =>
        // Whole numbers stay where they are; fractions would be an allocation for each connection.
        this.#lookAtMessages(Math.floor(performance.now())),
      ),
      every(Math.min(this.#turnMs, MAX_PRESSING_MS), () => this.#lookAtPressing()),
    ];
  }

  #lookAtPressing(): void {
    const [now, date] = [performance.now(), Date.now()];
    const expiredBefore = date - this.#times.expiryGraceMs;
    for (const connection of this.#pressing) {
      // A set may be changed while it is walked.
      if (connection.expiresAt <= expiredBefore) {
        connection.endFirmly(CloseCode.unauthorized, "credential expired");
      } else connection.dialect?.tick(now, date);
    }
  }

  #takeTurn(): void {
    if (this.#times.pingIntervalMs === null) return;
    this.#turn++;
    const silent = this.#slotOf(this.#turn - this.#timeoutTurns).filter((connection) =>
      this.#isSilent(connection),
    );
    // Closing takes connections out of the slot.
    endAll(silent, CloseCode.timeout, "no pong");
    for (const connection of this.#slotOf(this.#turn)) {
      if (connection.pingedAt === 0) connection.pingedAt = this.#turn;
      connection.pongsAwaited++;
      connection.transport.ping();
    }
  }

  /** Whom that turn pings. */
  #slotOf(turn: number): readonly ServerConnection[] {
    return turn < 0 ? [] : (this.#wheel[turn % this.#wheel.length] ?? []);
  }

  #isSilent(connection: ServerConnection): boolean {
    if (connection.pingedAt === 0) return false;
    if (this.#turn - connection.pingedAt < this.#timeoutTurns) return false;
    // While we hold up a client, its pongs wait with its messages; in the middle of a frame it can send none
    // (RFC 6455 section 5.5), and how long that may take is a limit of its own. Silence proves nothing then.
    if (!connection.paused && !connection.transport.isReceiving) return true;
    connection.pingedAt = this.#turn;
    return false;
  }

  #lookAtMessages(now: number): void {
    const unfinished: ServerConnection[] = [];
    for (const slot of this.#wheel) {
      for (const connection of slot) {
        if (this.#isUnfinished(connection, now)) unfinished.push(connection);
      }
    }
    endAll(unfinished, CloseCode.policyViolation, "message not finished");
  }

  #isUnfinished(connection: ServerConnection, now: number): boolean {
    // While we hold up a client, its message is not late.
    if (connection.paused || !connection.transport.isReceiving) connection.receivingSince = 0;
    else if (connection.receivingSince === 0) connection.receivingSince = now;
    else return now - connection.receivingSince >= this.#times.messageTimeoutMs;
    return false;
  }
}

function endAll(connections: readonly ServerConnection[], code: number, reason: string): void {
  for (const connection of connections) connection.endFirmly(code, reason);
}
