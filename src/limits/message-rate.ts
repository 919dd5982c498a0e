import { TokenBucket } from "./token-bucket.ts";

/**
 * What to do with a message: handle it; drop it and say so; drop it; or end the connection.
 */
export type RateVerdict = "pass" | "warn" | "drop" | "flood";

/**
 * Judges how often a client sends. The first message over the limit warns it, and what it sends in the
 * next moment, perhaps before it has read the warning, is dropped: as much as may come in a second.
 * After that it counts as a flood, unless the client has calmed down in between.
 */
export class MessageRate {
  readonly #bucket: TokenBucket;
  readonly #forgiven: number;
  #over = 0;

  constructor(perSecond: number, burst: number, now: number) {
    this.#bucket = new TokenBucket(perSecond, burst, now);
    this.#forgiven = perSecond;
  }

  judge(now: number): RateVerdict {
    if (this.#over > 0 && this.#bucket.isFull(now)) this.#over = 0;
    if (this.#bucket.take(now)) return "pass";
    this.#over++;
    if (this.#over === 1) return "warn";
    return this.#over > this.#forgiven ? "flood" : "drop";
  }
}
