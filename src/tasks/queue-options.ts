import type { Backplane } from "../backplane/contract/backplane.ts";
import type { TaskTerms } from "../backplane/contract/task-store.ts";
import { checkOptions } from "../protocol/check-options.ts";

export interface TaskQueueOptions {
  /** Whoever opens a queue of the same name on the same backplane shares it. Default "tasks". */
  readonly name?: string;
  /** Where the tasks are. Default: a memory backplane of its own, for this process. */
  readonly backplane?: Backplane;
  /** Who works here: the consumer's name in Redis. Unique among the living; default random. */
  readonly instanceId?: string;
  /**
   * How long after the last sign of life of its worker a task is tried again, in milliseconds; the same on
   * all instances. Default 30,000. Workers give a sign of life every third of it.
   */
  readonly visibilityMs?: number;
  /** How often a task is tried before it is a dead letter; the same on all instances. Default 5. */
  readonly maxDeliveries?: number;
  /** How many tasks that are not done the queue may hold. Default 100,000. */
  readonly maxLength?: number;
  /** How many dead letters are kept; above that the oldest go. Default 10,000. */
  readonly maxDead?: number;
}

const QUEUE_OPTIONS = [
  "name",
  "backplane",
  "instanceId",
  "visibilityMs",
  "maxDeliveries",
  "maxLength",
  "maxDead",
] as const satisfies (keyof TaskQueueOptions)[];

export interface ProcessOptions {
  /** How many tasks are in work here at most. Default 10. */
  readonly concurrency?: number;
  /** Aborted when the work shall end. */
  readonly signal?: AbortSignal;
}

const MAX_IDEMPOTENCY_KEY_LENGTH = 1024;
const DAY_MS = 86_400_000;

/** @throws TypeError or RangeError naming the option that is wrong. */
export function resolveQueueOptions(
  options: TaskQueueOptions,
): Pick<TaskTerms, "visibilityMs" | "maxDeliveries" | "maxLength" | "maxDead"> {
  checkOptions("TaskQueue", options, QUEUE_OPTIONS);
  const { visibilityMs = 30_000, maxDeliveries = 5 } = options;
  const { maxLength = 100_000, maxDead = 10_000 } = options;
  return {
    visibilityMs: checkWhole("visibilityMs", visibilityMs, 100, DAY_MS, "milliseconds"),
    maxDeliveries: checkWhole("maxDeliveries", maxDeliveries, 1, 1000),
    maxLength: checkWhole("maxLength", maxLength, 1, 100_000_000),
    maxDead: checkWhole("maxDead", maxDead, 1, 100_000_000),
  };
}

/** @throws TypeError or RangeError naming the option that is wrong. */
export function resolveProcessOptions(options: ProcessOptions): {
  readonly concurrency: number;
  readonly signal: AbortSignal | undefined;
} {
  checkOptions("process", options, ["concurrency", "signal"]);
  const { concurrency = 10, signal } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError("signal must be an AbortSignal.");
  }
  return { concurrency: checkWhole("concurrency", concurrency, 1, 10_000), signal };
}

/** @throws RangeError if it is not milliseconds. */
export function checkDrain(drainMs: number | undefined, defaultMs: number): number {
  if (drainMs === undefined) return defaultMs;
  return checkWhole("drainMs", drainMs, 0, DAY_MS, "milliseconds");
}

/** @throws TypeError or RangeError if it is no idempotency key. */
export function checkIdempotencyKey(key: unknown): string | null {
  if (key === undefined) return null;
  if (typeof key !== "string") {
    throw new TypeError(
      `idempotencyKey must be a string, not ${key === null ? "null" : typeof key}.`,
    );
  }
  if (key.length > 0 && key.length <= MAX_IDEMPOTENCY_KEY_LENGTH) return key;
  throw new RangeError(
    `idempotencyKey must have 1 to ${MAX_IDEMPOTENCY_KEY_LENGTH} characters, not ${key.length}.`,
  );
}

function checkWhole(
  name: string,
  value: unknown,
  min: number,
  max: number,
  unit = "a whole number",
): number {
  const message = `${name} must be ${unit} from ${min} to ${max}, not ${String(value)}.`;
  if (typeof value !== "number") throw new TypeError(message);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new RangeError(message);
}
