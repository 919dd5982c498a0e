import type { LogRules } from "../durable/feeds.ts";
import { checkOptions } from "../protocol/check-options.ts";
import { isName, quote } from "../protocol/names.ts";
import { fitsPattern } from "../protocol/pattern.ts";
import { checkSetting, wholeNumber } from "../protocol/setting.ts";

/** What holds for a room, by its name. */
export interface RoomOptions {
  /** Keep its messages: the room is durable. Default: not. */
  readonly history?: HistoryOptions;
  /**
   * What a durable message does while the backplane is away: reject with `BackplaneUnavailableError`, or
   * go out as an ephemeral one. Default "reject".
   */
  readonly whenUnavailable?: "reject" | "ephemeral";
  /** Tell the room who comes and goes: `user_joined` and `user_left`, once in the cluster. Default false. */
  readonly announce?: boolean;
}

export interface HistoryOptions {
  /** How many messages are kept. Default 10,000. */
  readonly maxLength?: number;
  /** What they may take of the backplane's memory, in bytes; older ones are dropped. Default 64 MiB. */
  readonly maxBytes?: number;
  /** How long after the last message they are kept, in milliseconds. Default 24 hours. */
  readonly ttlMs?: number;
  /** How many messages a client may have missed and still get them all when it resumes. Default 1,000. */
  readonly resumeLimit?: number;
  /**
   * How many replicas of Redis must have a message before its send resolves; it rejects with
   * `BackplaneUnavailableError` ("unknown") when they do not within a second. Default 0. The memory backplane
   * has no replicas and waits for none.
   */
  readonly minReplicas?: number;
}

/** What holds for messages to everyone. */
export type BroadcastOptions = Pick<RoomOptions, "history" | "whenUnavailable">;

/** A policy with its defaults, checked. @internal */
export interface RoomRules {
  readonly history: LogRules | null;
  readonly whenUnavailable: "reject" | "ephemeral";
  readonly announce: boolean;
}

/** Policies by pattern: `*` stands for any characters. The first that fits holds. */
export type RoomPolicies = Readonly<Record<string, RoomOptions>>;

/** Finds the rules of a room. @internal */
export class RoomPolicy {
  readonly #policies: readonly { readonly pattern: string; readonly rules: RoomRules }[];
  /** The rules of messages to everyone. */
  readonly everyone: RoomRules;

  /** @throws TypeError or RangeError naming the option that is wrong. */
  constructor(policies: RoomPolicies = {}, broadcast: BroadcastOptions = {}) {
    checkPatterns(policies);
    this.#policies = Object.entries(policies).map(([pattern, options]) => {
      const name = `rooms[${JSON.stringify(pattern)}]`;
      checkOptions(name, options, ROOM_OPTIONS);
      return { pattern, rules: resolveRules(name, options) };
    });
    checkOptions("broadcast", broadcast, BROADCAST_OPTIONS);
    this.everyone = resolveRules("broadcast", broadcast);
  }

  of(room: string): RoomRules {
    return this.#policies.find(({ pattern }) => fitsPattern(room, pattern))?.rules ?? NO_RULES;
  }
}

/** @throws TypeError naming a pattern that fits no room, or none that an earlier one does not fit. */
function checkPatterns(policies: unknown): void {
  if (typeof policies !== "object" || policies === null || Array.isArray(policies)) {
    throw new TypeError('rooms must be an object such as { "chat:*": { history: {} } }.');
  }
  const patterns = Object.keys(policies);
  for (const [i, pattern] of patterns.entries()) {
    const literal = pattern.replaceAll("*", "");
    if (pattern === "" || (literal !== "" && !isName(literal))) {
      const names = "names have 1 to 256 bytes without control characters, { or }";
      throw new TypeError(`rooms[${quote(pattern)}] fits no room: ${names}.`);
    }
    // What a pattern makes of the stars of another, it makes of all they stand for.
    const before = patterns.slice(0, i).find((earlier) => fitsPattern(pattern, earlier));
    if (before === undefined) continue;
    throw new TypeError(
      `rooms[${quote(pattern)}] is never used: the first pattern that fits holds, and ${quote(before)} before it fits all its rooms. Write it first.`,
    );
  }
}

const ROOM_OPTIONS = ["history", "whenUnavailable", "announce"];
const BROADCAST_OPTIONS = ["history", "whenUnavailable"];
const HISTORY_OPTIONS = ["maxLength", "maxBytes", "ttlMs", "resumeLimit", "minReplicas"];
const NO_RULES: RoomRules = { history: null, whenUnavailable: "reject", announce: false };
const MAX_LENGTH = wholeNumber("", 10_000, 1, 10_000_000);
const MAX_BYTES = wholeNumber("", 67_108_864, 1024, 2 ** 40, " (bytes)");
const RESUME_LIMIT = wholeNumber("", 1000, 1, 100_000);
const MIN_REPLICAS = wholeNumber("", 0, 0, 100);
const TTL_MS = wholeNumber("", 86_400_000, 1000, 31_536_000_000, " (milliseconds)");

/** `name`: of the option. */
function resolveRules(name: string, options: RoomOptions): RoomRules {
  const { history, whenUnavailable = "reject", announce = false } = options;
  if (whenUnavailable !== "reject" && whenUnavailable !== "ephemeral") {
    throw new RangeError(`${name}.whenUnavailable must be "reject" or "ephemeral".`);
  }
  if (typeof announce !== "boolean") throw new TypeError(`${name}.announce must be true or false.`);
  if (history !== undefined) checkOptions(`${name}.history`, history, HISTORY_OPTIONS);
  return {
    history:
      history === undefined
        ? null
        : {
            maxLength: checkSetting(`${name}.history.maxLength`, history.maxLength, MAX_LENGTH),
            maxBytes: checkSetting(`${name}.history.maxBytes`, history.maxBytes, MAX_BYTES),
            ttlMs: checkSetting(`${name}.history.ttlMs`, history.ttlMs, TTL_MS),
            resumeLimit: checkSetting(
              `${name}.history.resumeLimit`,
              history.resumeLimit,
              RESUME_LIMIT,
            ),
            minReplicas: checkSetting(
              `${name}.history.minReplicas`,
              history.minReplicas,
              MIN_REPLICAS,
            ),
          },
    whenUnavailable,
    announce,
  };
}
