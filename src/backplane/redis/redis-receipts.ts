import { type Claim, HANDLING_MS, RECEIPT_MS, type ReceiptStore } from "../receipt-store.ts";
import type { Keys } from "./keys.ts";
import { defineScript, type Scripts } from "./scripts.ts";

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

export class RedisReceipts implements ReceiptStore {
  readonly #keys: Keys;
  readonly #scripts: Scripts;

  constructor(keys: Keys, scripts: Scripts) {
    this.#keys = keys;
    this.#scripts = scripts;
  }

  async claim(key: string, holder: string): Promise<Claim> {
    const found = await this.#scripts.run(CLAIM, this.#at(key), [holder, String(HANDLING_MS)]);
    if (typeof found !== "string") return { state: "new" };
    if (found.startsWith("b")) return { state: "busy" };
    return { state: "done", answer: found.slice(1) };
  }

  async extend(key: string, holder: string): Promise<void> {
    await this.#scripts.run(EXTEND, this.#at(key), [holder, String(HANDLING_MS)]);
  }

  async finish(key: string, _holder: string, answer: string): Promise<void> {
    await this.#scripts.run(FINISH, this.#at(key), [answer, String(RECEIPT_MS)]);
  }

  async abandon(key: string, holder: string): Promise<void> {
    await this.#scripts.run(ABANDON, this.#at(key), [holder]);
  }

  #at(key: string): string[] {
    return [this.#keys.receipt(key)];
  }
}
