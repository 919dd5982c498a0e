import type { UserLimit } from "../backplane/contract/presence-store.ts";
import { checkOptions } from "../protocol/check-options.ts";
import {
  checkSetting,
  duration,
  optional,
  type Setting,
  wholeNumber,
} from "../protocol/setting.ts";

/** What one instance lets its clients use. null: no limit. */
export interface Limits {
  /** Connections in all, and handshakes under way; more are refused with 503. Default: no limit. */
  readonly maxConnections: number | null;
  /** Connections of one user in the whole cluster. Default: no limit, or `config.maxConnectionsPerUser`. */
  readonly maxConnectionsPerUser: number | null;
  /**
   * What happens beyond `maxConnectionsPerUser`: "reject" closes the new connection with 4008,
   * "replaceOldest" the user's oldest with 4409. Default "reject".
   */
  readonly onUserLimit: UserLimit["whenFull"];
  /** Connections from one address (IPv6: one /64); more are refused with 429. Default: no limit. */
  readonly maxConnectionsPerAddress: number | null;
  /** Rooms one connection may be in. Default 1,000. */
  readonly maxRoomsPerConnection: number;
  /** Bytes that may wait for a reader who does not keep up; more closes with 4413. Default 1 MiB. */
  readonly maxBufferedBytes: number;
  /**
   * Messages a client may send in a second, in the long run. Those over it are dropped, the first of
   * them with an `error` frame; whoever goes on for another second's worth is closed with 4429.
   * Default: no limit.
   */
  readonly messagesPerSecond: number | null;
  /** Messages it may send at once. Default: twice `messagesPerSecond`. */
  readonly messageBurst: number;
  /** Pings a client may send in a second; more close with 4429. Default 10. */
  readonly pingsPerSecond: number;
  /** How long a message may take from its first byte to its last; longer closes with 1008. Default 30,000. */
  readonly messageTimeoutMs: number;
  /** How long after a credential expired its connection is closed, with 4401. Default 5,000. */
  readonly expiryGraceMs: number;
}

export const LIMIT_SETTINGS: { readonly [K in keyof Limits]: Setting<Limits[K]> } = {
  maxConnections: optional(wholeNumber("", 1, 1, 10_000_000), null),
  maxConnectionsPerUser: optional(wholeNumber("", 1, 1, 1_000_000), null),
  onUserLimit: {
    variable: "",
    default: "reject",
    allowed: "",
    allowedOption: '"reject" or "replaceOldest"',
    parse: () => undefined,
    accepts: (value): value is UserLimit["whenFull"] =>
      value === "reject" || value === "replaceOldest",
  },
  maxConnectionsPerAddress: optional(wholeNumber("", 1, 1, 10_000_000), null),
  maxRoomsPerConnection: wholeNumber("", 1000, 1, 1_000_000),
  maxBufferedBytes: wholeNumber("", 1_048_576, 1024, 0x7fff_ffff, " (bytes)"),
  messagesPerSecond: optional(wholeNumber("", 1, 1, 1_000_000), null),
  messageBurst: wholeNumber("", 1, 1, 10_000_000),
  pingsPerSecond: wholeNumber("", 10, 1, 1_000_000),
  messageTimeoutMs: duration("", 30_000, { minMs: 100, maxMs: 3_600_000 }),
  expiryGraceMs: duration("", 5000, { minMs: 0, maxMs: 3_600_000 }),
};

/**
 * Completes `options` with the defaults. An explicit undefined counts as absent.
 *
 * @param maxConnectionsPerUser where `options` does not say, from the configuration
 * @throws TypeError or RangeError naming the option, its value and what is allowed.
 */
export function resolveLimits(
  options: Partial<Limits> = {},
  maxConnectionsPerUser: number | null = null,
): Limits {
  checkOptions("limits", options, Object.keys(LIMIT_SETTINGS));
  const of = <K extends keyof Limits>(name: K): Limits[K] =>
    checkSetting(`limits.${name}`, options[name], LIMIT_SETTINGS[name]);
  const messagesPerSecond = of("messagesPerSecond");
  return {
    maxConnections: of("maxConnections"),
    maxConnectionsPerUser:
      options.maxConnectionsPerUser === undefined
        ? maxConnectionsPerUser
        : of("maxConnectionsPerUser"),
    onUserLimit: of("onUserLimit"),
    maxConnectionsPerAddress: of("maxConnectionsPerAddress"),
    maxRoomsPerConnection: of("maxRoomsPerConnection"),
    maxBufferedBytes: of("maxBufferedBytes"),
    messagesPerSecond,
    messageBurst:
      options.messageBurst === undefined ? 2 * (messagesPerSecond ?? 1) : of("messageBurst"),
    pingsPerSecond: of("pingsPerSecond"),
    messageTimeoutMs: of("messageTimeoutMs"),
    expiryGraceMs: of("expiryGraceMs"),
  };
}
