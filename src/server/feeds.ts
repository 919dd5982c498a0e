import type { MessagePacket } from "../backplane/contract/broker.ts";
import type { HistoryPolicy, HistoryStore, LogName } from "../backplane/contract/history-store.ts";
import { Feed } from "./feed.ts";

/** A log nobody wrote to for so long is compared with what we have, in milliseconds. */
const QUIET_MS = 30_000;
const LOOK_EVERY_MS = 5000;
/** At most so many logs are looked at in one go. */
const LOOK_AT_MOST = 500;
/** What all rings together may take, in bytes. */
const RINGS_BYTES = 64 * 1024 * 1024;

/** Whom feeds are for. None of these may throw. */
export interface FeedsHost {
  deliver(log: LogName, packet: MessagePacket): number;
  audience(log: LogName, packet: MessagePacket): number;
  gap(log: LogName): void;
  /** Nobody wants a log any more that is subscribed to only now. */
  unfollowed(log: LogName): void;
  report(error: unknown, stage: string): void;
}

/** How a log is kept and resumed from. */
export interface LogRules extends HistoryPolicy {
  /** How many messages a resume may ask for. */
  readonly resumeLimit: number;
}

interface Open {
  readonly feed: Feed;
  readonly rules: LogRules;
  /** Resolves when everything sent from now on will arrive. */
  readonly opened: Promise<void>;
}

/** The feeds of all durable rooms that this instance has members in. */
export class Feeds {
  readonly #history: HistoryStore;
  readonly #host: FeedsHost;
  readonly #feeds: Map<LogName, Open> = new Map();
  #ringsBytes = 0;
  #timer: NodeJS.Timeout | null = null;
  /** How often members had to be told that messages were lost. */
  gaps = 0;

  constructor(history: HistoryStore, host: FeedsHost) {
    this.#history = history;
    this.#host = host;
  }

  get(log: string): Feed | undefined {
    return this.#feeds.get(log as LogName)?.feed;
  }

  /** Follows a log. Resolves when everything sent from now on will arrive. Idempotent. */
  open(log: LogName, rules: LogRules): Promise<void> {
    const found = this.#feeds.get(log);
    if (found !== undefined) return found.opened;
    const feed = this.#make(log, rules);
    const opened = this.#follow(log, rules, feed);
    this.#feeds.set(log, { feed, rules, opened });
    this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
    return opened;
  }

  close(log: LogName): void {
    const found = this.#feeds.get(log);
    if (found === undefined) return;
    this.#feeds.delete(log);
    found.feed.close();
    this.#ringsBytes -= found.feed.ringBytes;
  }

  /** The backplane is there again: whatever was missed is read. */
  recovered(): void {
    for (const { feed } of this.#feeds.values()) feed.check();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    for (const log of [...this.#feeds.keys()]) this.close(log);
  }

  /** Never rejects: a log that cannot be read must not hold up its room. */
  async #follow(log: LogName, rules: LogRules, feed: Feed): Promise<void> {
    let position: string | null = null;
    try {
      position = await this.#history.follow(log, rules);
    } catch (error) {
      this.#host.report(error, "history");
    }
    feed.begin(position);
    // Everybody may have left while it was being subscribed to.
    if (!this.#feeds.has(log)) this.#host.unfollowed(log);
  }

  #make(log: LogName, { resumeLimit, maxLength }: LogRules): Feed {
    const history = this.#history;
    const host = this.#host;
    let ringBytes = 0;
    const feed = new Feed(
      {
        read: (since, limit) => history.read(log, since, limit),
        tail: (limit, maxBytes) => history.tail(log, limit, maxBytes),
        deliver: (packet) => host.deliver(log, packet),
        audience: (packet) => host.audience(log, packet),
        gap: () => {
          this.gaps++;
          host.gap(log);
        },
        failed: (error) => host.report(error, "history"),
        resized: () => {
          const grown = feed.ringBytes - ringBytes;
          ringBytes += grown;
          this.#ringsBytes += grown;
          if (grown > 0 && this.#ringsBytes > RINGS_BYTES) this.#shed(feed);
        },
      },
      Math.min(resumeLimit, maxLength),
    );
    return feed;
  }

  /** Those that were quiet longest give up their rings first. */
  #shed(keep: Feed): void {
    const others = [...this.#feeds.values()].filter(({ feed }) => feed !== keep);
    others.sort((a, b) => a.feed.heardAt - b.feed.heardAt);
    for (const { feed } of others) {
      if (this.#ringsBytes <= RINGS_BYTES / 2) return;
      feed.shed();
    }
  }

  /** A message that was lost at the very end of a log shows only if somebody looks. */
  #look(): void {
    const quietSince = performance.now() - QUIET_MS;
    let looked = 0;
    for (const [log, { feed, rules }] of this.#feeds) {
      if (feed.heardAt > quietSince) continue;
      if (++looked > LOOK_AT_MOST) return;
      feed.heardAt = performance.now();
      this.#history.end(log, rules).then(
        (end) => {
          if (end !== feed.position) feed.check();
        },
        // Not there: then all are checked once it is back.
        () => {},
      );
    }
  }
}
