import { BackplaneUnavailableError } from "../../protocol/errors.ts";
import {
  type Claim,
  HANDLING_MS,
  RECEIPT_MS,
  type ReceiptStore,
} from "../contract/receipt-store.ts";
import type { Keys } from "./keys.ts";
import { defineScript, isReply, type Scripts } from "./net/run.ts";

/** How often what Redis did not take is tried again, in milliseconds. */
const RETRY_MS = 500;

/** A key holds `b` and the holder while the message is being handled, then `d` and the answer. */
const CLAIM = defineScript(`
-- KEYS: receipt
-- ARGV: holder, time to handle (ms)
local value = redis.call('GET', KEYS[1])
if value then return value end
redis.call('SET', KEYS[1], 'b' .. ARGV[1], 'PX', ARGV[2])
return false
`);

const EXTEND = defineScript(`
-- KEYS: receipt
-- ARGV: holder, time to handle (ms)
if redis.call('GET', KEYS[1]) == 'b' .. ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
`);

const FINISH = defineScript(`
-- KEYS: receipt
-- ARGV: answer, time to remember (ms)
redis.call('SET', KEYS[1], 'd' .. ARGV[1], 'PX', ARGV[2])
return 0
`);

const ABANDON = defineScript(`
-- KEYS: receipt
-- ARGV: holder
if redis.call('GET', KEYS[1]) == 'b' .. ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0
`);

/** What Redis should know of one message. */
interface Owed {
  readonly until: number;
  tell(): Promise<unknown>;
}

export class RedisReceipts implements ReceiptStore {
  readonly #keys: Keys;
  readonly #scripts: Scripts;
  /** By key; the last word on each. */
  readonly #owed: Map<string, Owed> = new Map();
  #retrying: NodeJS.Timeout | null = null;

  constructor(keys: Keys, scripts: Scripts) {
    this.#keys = keys;
    this.#scripts = scripts;
  }

  /** Whoever is not told in time that it took the message does not have it: it is given back. */
  async claim(key: string, holder: string): Promise<Claim> {
    // What is owed of it comes first.
    const owed = this.#owed.get(key);
    if (owed !== undefined) await this.#insist(key, owed.tell);
    const found = await this.#scripts
      .run(CLAIM, this.#at(key), [holder, String(HANDLING_MS)])
      .catch((error) => {
        this.#owe(key, () => this.#scripts.run(ABANDON, this.#at(key), [holder]));
        throw unavailable(error);
      });
    if (typeof found !== "string") return { state: "new" };
    if (found.startsWith("b")) return { state: "busy" };
    return { state: "done", answer: found.slice(1) };
  }

  async extend(key: string, holder: string): Promise<void> {
    await this.#scripts.run(EXTEND, this.#at(key), [holder, String(HANDLING_MS)]);
  }

  async finish(key: string, _holder: string, answer: string): Promise<void> {
    await this.#insist(key, () =>
      this.#scripts.run(FINISH, this.#at(key), [answer, String(RECEIPT_MS)]),
    );
  }

  async abandon(key: string, holder: string): Promise<void> {
    await this.#insist(key, () => this.#scripts.run(ABANDON, this.#at(key), [holder]));
  }

  stop(): void {
    if (this.#retrying !== null) clearInterval(this.#retrying);
    this.#retrying = null;
    this.#owed.clear();
  }

  async #insist(key: string, tell: () => Promise<unknown>): Promise<void> {
    this.#owed.delete(key);
    try {
      await tell();
    } catch (error) {
      this.#owe(key, tell);
      throw unavailable(error);
    }
  }

  /** Tells Redis as soon as it listens, as long as it matters. */
  #owe(key: string, tell: () => Promise<unknown>): void {
    this.#owed.set(key, { until: performance.now() + RECEIPT_MS, tell });
    this.#retrying ??= setInterval(() => this.#retry(), RETRY_MS).unref();
  }

  #retry(): void {
    const now = performance.now();
    for (const [key, owed] of this.#owed) {
      const settled = (): void => {
        if (this.#owed.get(key) === owed) this.#owed.delete(key);
      };
      if (owed.until <= now) settled();
      else owed.tell().then(settled, () => {});
    }
    if (this.#owed.size > 0 || this.#retrying === null) return;
    clearInterval(this.#retrying);
    this.#retrying = null;
  }

  #at(key: string): string[] {
    return [this.#keys.receipt(key)];
  }
}

function unavailable(error: unknown): unknown {
  if (!isReply(error)) return error;
  const message = `Redis did not take it: ${error.message}`;
  return new BackplaneUnavailableError(message, "not-stored", { cause: error });
}
