/** How a connection behaves, as far as a client has a say. Times are in milliseconds, sizes in bytes. */
export interface ClientConfig {
  /** How long a handshake may take. Default 10,000. */
  readonly openTimeoutMs: number;
  /** How long the peer may take to answer a close frame before the socket is destroyed. Default 10,000. */
  readonly closeTimeoutMs: number;
  /** How often each connection is pinged; null: never. Default 20,000. */
  readonly pingIntervalMs: number | null;
  /** How long after a ping a silent connection counts as dead. Default 20,000. */
  readonly pingTimeoutMs: number;
  /** The largest message that is accepted, in bytes after inflating. Default 1 MiB. */
  readonly maxMessageSize: number;
  /** How many received messages wait for their reader before the socket is paused. Default 16. */
  readonly maxQueueSize: number;
  /** Whether a client reconnects by itself. Default true. */
  readonly reconnectEnabled: boolean;
  /** How many attempts in a row a client makes; 0: no limit. Default 5, in browsers 0. */
  readonly reconnectMaxAttempts: number;
  /** The delay before a client's first attempt. Default 1,000. */
  readonly reconnectBackoffBaseMs: number;
  /** The longest delay between a client's attempts. Default 60,000. */
  readonly reconnectBackoffMaxMs: number;
  /** How much of a delay is random, 0 to 1. Default 1: clients that were lost together come back apart. */
  readonly reconnectJitter: number;
}

const HOUR = 3_600_000;

type Value = number | boolean | null;

/**
 * Defaults and bounds are those of `config.ts`, without what reads the environment: pages load this. Fractions do
 * no harm here.
 */
const SETTINGS: Readonly<
  Record<keyof ClientConfig, readonly [initial: Value, min: Value, max?: Value, also?: Value]>
> = {
  openTimeoutMs: [10_000, 100],
  closeTimeoutMs: [10_000, 100],
  pingIntervalMs: [20_000, 100, HOUR, null],
  pingTimeoutMs: [20_000, 100],
  maxMessageSize: [1_048_576, 1, 0x3fff_ffff],
  maxQueueSize: [16, 1, 1_000_000],
  reconnectEnabled: [true, false, true],
  reconnectMaxAttempts: [5, 0, 1_000_000],
  reconnectBackoffBaseMs: [1000, 0],
  reconnectBackoffMaxMs: [60_000, 0, 24 * HOUR],
  reconnectJitter: [1, 0, 1],
};

/**
 * Completes `options` with the defaults, those of this runtime first. An explicit undefined counts as absent; what only a server has,
 * as in the answer of `loadConfig`, is left out.
 *
 * @throws RangeError naming the option, its value and what is allowed.
 */
export function resolveClientConfig(
  options: Partial<ClientConfig> = {},
  defaults: Partial<ClientConfig> = {},
): ClientConfig {
  const settings = Object.entries(SETTINGS).map(([name, [initial, min, max = HOUR, also]]) => {
    const key = name as keyof ClientConfig;
    const { [key]: value = defaults[key] ?? initial } = options;
    const isWithin = (value as number) >= (min as number) && (value as number) <= (max as number);
    if ((typeof value === typeof initial && isWithin) || value === also) return [name, value];
    throw new RangeError(
      `config.${name} must be a ${typeof initial} from ${min} to ${max}, not ${value}.`,
    );
  });
  return Object.fromEntries(settings);
}
