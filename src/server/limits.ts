import { checkSetting, wholeNumber } from "../protocol/setting.ts";

/** What one instance lets its clients use. null: no limit. */
export interface Limits {
  /** Connections in all; more are refused with 503. Default: no limit. */
  readonly maxConnections: number | null;
  /** Rooms one connection may be in. Default 1,000. */
  readonly maxRoomsPerConnection: number;
  /** Bytes that may wait for a reader who does not keep up; more closes with 4413. Default 1 MiB. */
  readonly maxBufferedBytes: number;
}

/** @throws TypeError or RangeError naming the option, its value and what is allowed. */
export function resolveLimits(options: Partial<Limits> = {}): Limits {
  const { maxConnections, maxRoomsPerConnection, maxBufferedBytes, ...unknown } = options;
  for (const name of Object.keys(unknown)) throw new TypeError(`limits has no option ${name}.`);
  return {
    maxConnections:
      maxConnections == null
        ? null
        : checkSetting("limits.maxConnections", maxConnections, CONNECTIONS),
    maxRoomsPerConnection: checkSetting(
      "limits.maxRoomsPerConnection",
      maxRoomsPerConnection,
      ROOMS,
    ),
    maxBufferedBytes: checkSetting("limits.maxBufferedBytes", maxBufferedBytes, BYTES),
  };
}

const CONNECTIONS = wholeNumber("", 1, 1, 10_000_000);
const ROOMS = wholeNumber("", 1000, 1, 1_000_000);
const BYTES = wholeNumber("", 1_048_576, 1024, 0x7fff_ffff, " (bytes)");
