import { TokenBucket } from "./token-bucket.ts";

/**
 * What to do with a message: handle it; drop it and say so; drop it; or end the connection.
 */
export type RateVerdict = "pass" | "warn" | "drop" | "flood";

/** A message of up to so many bytes counts as one. */
const BYTES_OF_ONE = 16_384;

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

  /** `bytes`: the size of the message; a large one counts for several, since it is as much work. */
  judge(now: number, bytes = 0): RateVerdict {
    if (this.#over > 0 && this.#bucket.isFull(now)) this.#over = 0;
    const cost = Math.max(1, Math.ceil(bytes / BYTES_OF_ONE));
    if (this.#bucket.take(now, cost)) return "pass";
    const isFirst = this.#over === 0;
    this.#over += isFirst ? 1 : cost;
    if (isFirst) return "warn";
    return this.#over > this.#forgiven ? "flood" : "drop";
  }
}
