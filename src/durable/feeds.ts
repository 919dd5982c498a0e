import type { MessagePacket } from "../backplane/contract/broker.ts";
import type { HistoryPolicy, HistoryStore, LogName } from "../backplane/contract/history-store.ts";
import { guarded } from "../protocol/guarded.ts";
import { type Compared, Comparison } from "./comparison.ts";
import { Feed } from "./feed.ts";

/** A log nobody wrote to for so long is compared with what we have, in milliseconds. */
const QUIET_MS = 30_000;
const LOOK_EVERY_MS = 1000;
/** At most so many logs are looked at in one go. */
const LOOK_AT_MOST = 500;
/** What all rings together may take of memory, in bytes. */
const RINGS_BYTES = 64 * 1024 * 1024;

/** How a log is kept and resumed from. */
export interface LogRules extends HistoryPolicy {
  /** How many messages a resume may ask for. */
  readonly resumeLimit: number;
}

/** Whom a log is for. None of these may throw. */
export interface Followers {
  readonly channel: LogName;
  deliver(packet: MessagePacket): number;
  /** How many `deliver` would count. */
  audience(packet: MessagePacket): number;
  /** Messages are lost for good. */
  gap(): void;
}

interface Followed extends Compared {
  ringBytes: number;
}

/** What the feeds of an instance share: the memory of their rings, and who looks at logs that fell quiet. */
export class Feeds {
  readonly #history: HistoryStore;
  readonly #comparison: Comparison;
  readonly #failed: (error: unknown) => void;
  readonly #followed: Map<Feed, Followed> = new Map();
  /** Whom the look goes on with; a new round begins when it is through. */
  #round: Iterator<Followed> = [].values();
  #ringsBytes = 0;
  #timer: NodeJS.Timeout | null = null;
  /** How often members had to be told that messages were lost. */
  gaps = 0;

  constructor(history: HistoryStore, failed: (error: unknown) => void) {
    this.#history = history;
    this.#comparison = new Comparison(history, failed);
    this.#failed = failed;
  }

  /** What the rings take of memory, in bytes. */
  get ringsBytes(): number {
    return this.#ringsBytes;
  }

  /**
   * Follows a log. `opened` resolves when everything sent from now on will arrive; it never rejects: a log that
   * cannot be read must not hold up its room.
   */
  follow(followers: Followers, rules: LogRules): { feed: Feed; opened: Promise<void> } {
    const log = followers.channel;
    const history = this.#history;
    const feed = new Feed(
      {
        read: (since, limit) => history.read(log, since, limit),
        tail: (limit, maxBytes) => history.tail(log, limit, maxBytes),
        deliver: (packet) => followers.deliver(packet),
        audience: (packet) => followers.audience(packet),
        gap: () => {
          this.gaps++;
          followers.gap();
        },
        failed: this.#failed,
        resized: () => this.#resized(followed),
      },
      Math.min(rules.resumeLimit, rules.maxLength),
    );
    const followed: Followed = { log, feed, policy: rules, ringBytes: 0 };
    this.#followed.set(feed, followed);
    this.#timer ??= setInterval(
      guarded(() => this.#look(), this.#failed),
      LOOK_EVERY_MS,
    ).unref();
    return { feed, opened: this.#begin(followed) };
  }

  /** Ends a feed; what is under way for it has no effect any more. */
  close(feed: Feed): void {
    const followed = this.#followed.get(feed);
    if (followed === undefined) return;
    feed.close();
    this.#followed.delete(feed);
    this.#comparison.delete(followed);
    this.#ringsBytes -= followed.ringBytes;
  }

  /** The backplane is there again: whatever was missed is read. */
  recovered(): void {
    this.#comparison.begin(this.#followed.values());
  }

  /** How many logs are still to be compared with what was heard of them. */
  get toCompare(): number {
    return this.#comparison.size;
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    for (const feed of [...this.#followed.keys()]) this.close(feed);
  }

  async #begin({ log, policy, feed }: Followed): Promise<void> {
    let position: string | null = null;
    try {
      position = await this.#history.follow(log, policy);
    } catch (error) {
      this.#failed(error);
    }
    feed.begin(position);
  }

  #resized(followed: Followed): void {
    const grown = followed.feed.ringBytes - followed.ringBytes;
    followed.ringBytes += grown;
    this.#ringsBytes += grown;
    if (grown > 0 && this.#ringsBytes > RINGS_BYTES) this.#shed(followed.feed);
  }

  /** Those that were quiet longest give up their rings first. */
  #shed(keep: Feed): void {
    const others = [...this.#followed.keys()].filter((feed) => feed !== keep);
    others.sort((a, b) => a.heardAt - b.heardAt);
    for (const feed of others) {
      if (this.#ringsBytes <= RINGS_BYTES / 2) return;
      feed.shed();
    }
  }

  /** A message that was lost at the very end of a log shows only if somebody looks. */
  #look(): void {
    const quietSince = performance.now() - QUIET_MS;
    const quiet: Followed[] = [];
    for (let passed = 0; passed < this.#followed.size && quiet.length < LOOK_AT_MOST; passed++) {
      const next = this.#round.next();
      if (next.done === true) {
        this.#round = this.#followed.values();
        continue;
      }
      const { feed } = next.value;
      if (feed.heardAt > quietSince) continue;
      feed.heardAt = performance.now();
      quiet.push(next.value);
    }
    this.#comparison.add(quiet);
  }
}
