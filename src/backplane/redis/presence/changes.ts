import { isName } from "../../../protocol/names.ts";
import type { PresenceWatcher } from "../../contract/presence-store.ts";

/** How often watchers compare what they know with what is stored, in milliseconds. */
const COMPARE_EVERY_MS = 60_000;

/** Takes what is published on a channel; the listener says whether it understood. Resolves to what ends it. */
export type Listen = (
  channel: string,
  listener: (message: Buffer) => boolean,
) => Promise<() => void>;

/**
 * Tells watchers of those who come and go, as the scripts publish it, and when something may have been
 * missed: after each new connection, and once in a while, since nothing tells of a message that was lost.
 *
 * While Redis is being told everything again, others who are there may not be listed yet; nobody compares
 * until every lease has had its time.
 */
export class Changes {
  readonly #listen: Listen;
  readonly #leaseMs: number;
  readonly #compareEveryMs: number;
  readonly #watchers: Set<PresenceWatcher> = new Set();
  #sureFrom = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(listen: Listen, leaseMs: number, compareEveryMs: number = COMPARE_EVERY_MS) {
    this.#listen = listen;
    this.#leaseMs = leaseMs;
    this.#compareEveryMs = compareEveryMs;
  }

  /** Resolves to what ends it, once all channels are subscribed to. */
  async watch(channels: readonly string[], watcher: PresenceWatcher): Promise<() => void> {
    const take = (message: Buffer): boolean => {
      const [sign, user] = [message.toString("utf8", 0, 1), message.toString("utf8", 1)];
      if ((sign !== "+" && sign !== "-") || !isName(user)) return false;
      watcher.changed(user, sign === "+");
      return true;
    };
    const ends = await Promise.all(channels.map((channel) => this.#listen(channel, take)));
    this.#watchers.add(watcher);
    if (this.#timer === null) this.#compareIn(this.#compareEveryMs);
    return () => {
      for (const end of ends) end();
      this.#watchers.delete(watcher);
      if (this.#watchers.size === 0) this.stop();
    };
  }

  /** Redis is empty, and is being told everything again. */
  emptied(): void {
    this.#sureFrom = performance.now() + this.#leaseMs;
    this.missed();
  }

  /** Something may have been published that did not arrive. */
  missed(): void {
    if (this.#watchers.size > 0) this.#compareIn(Math.max(0, this.#sureFrom - performance.now()));
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #compareIn(ms: number): void {
    this.stop();
    this.#timer = setTimeout(() => {
      this.#compareIn(this.#compareEveryMs);
      for (const watcher of this.#watchers) watcher.missed();
    }, ms).unref();
  }
}
