import type { Client } from "./connection.ts";

/** Channels in one SUBSCRIBE or UNSUBSCRIBE. */
const BATCH = 512;
/** How long a channel is kept after the last interest in it, in milliseconds; plus as much at random. */
const LINGER_MS = 2000;

type Receive = (message: Buffer, channel: Buffer) => void;

/**
 * The channels this instance wants, and what the subscriber connection knows of it. One command is in
 * flight at a time; a new connection is given everything anew, in batches.
 */
export class Subscriptions {
  readonly #receive: Receive;
  /** Channels somebody wants, or wanted a moment ago. */
  readonly #wanted: Set<string> = new Set();
  /** Channels Redis has confirmed on the present connection. */
  readonly #confirmed: Set<string> = new Set();
  /** Channels that are wanted and not confirmed, and the other way round. */
  readonly #missing: Set<string> = new Set();
  readonly #surplus: Set<string> = new Set();
  /** Channels nobody wants any more, and since when. */
  readonly #lingering: Map<string, number> = new Map();
  readonly #waiting: Map<string, (() => void)[]> = new Map();
  readonly #fail: (error: unknown) => void;
  #client: Client | null = null;
  #complete = false;
  #working: Promise<void> | null = null;
  #sweeper: NodeJS.Timeout | null = null;

  /** `fail`: a command did not do what it should, so the connection must be rebuilt. */
  constructor(receive: Receive, fail: (error: unknown) => void) {
    this.#receive = receive;
    this.#fail = fail;
  }

  /** Whether everything that was wanted when the connection was made has been confirmed. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Whether everything published to the channel from now on arrives. */
  isConfirmed(channel: string): boolean {
    return this.#confirmed.has(channel);
  }

  /** Resolves when the channel is subscribed; at once while there is no connection. */
  want(channel: string): Promise<void> {
    this.#lingering.delete(channel);
    this.#wanted.add(channel);
    this.#surplus.delete(channel);
    if (this.#client === null || this.#confirmed.has(channel)) return Promise.resolve();
    this.#missing.add(channel);
    const subscribed = new Promise<void>((resolve) => {
      const waiting = this.#waiting.get(channel);
      if (waiting === undefined) this.#waiting.set(channel, [resolve]);
      else waiting.push(resolve);
    });
    this.#work();
    return subscribed;
  }

  /** The channel is not needed any more; it is left after a while, unless somebody wants it again. */
  release(channel: string): void {
    if (!this.#wanted.has(channel) || this.#lingering.has(channel)) return;
    this.#lingering.set(channel, performance.now() + LINGER_MS * (1 + Math.random()));
    this.#sweeper ??= setInterval(() => this.#sweep(), LINGER_MS / 2).unref();
  }

  /** Subscribes to everything wanted on a new connection. Resolves when Redis has confirmed it all. */
  async connected(client: Client): Promise<void> {
    this.disconnected();
    this.#client = client;
    for (const channel of this.#wanted) this.#missing.add(channel);
    this.#work();
    while (this.#working !== null) await this.#working;
    this.#complete = this.#client === client;
  }

  /** The connection is gone. Nobody is kept waiting for it. */
  disconnected(): void {
    this.#client = null;
    this.#complete = false;
    this.#working = null;
    this.#confirmed.clear();
    this.#missing.clear();
    this.#surplus.clear();
    for (const channel of [...this.#waiting.keys()]) this.#tell(channel);
  }

  stop(): void {
    this.disconnected();
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    this.#sweeper = null;
    this.#wanted.clear();
    this.#lingering.clear();
  }

  #work(): void {
    const client = this.#client;
    const idle = this.#missing.size === 0 && this.#surplus.size === 0;
    if (client === null || this.#working !== null || idle) return;
    const working = this.#synchronize(client).then(
      () => {
        if (this.#working !== working) return;
        this.#working = null;
        this.#work();
      },
      (error) => {
        if (this.#client === client) this.#fail(error);
      },
    );
    this.#working = working;
  }

  /** One batch of what differs from what is wanted. */
  async #synchronize(client: Client): Promise<void> {
    const missing = take(this.#missing, BATCH);
    if (missing.length > 0) {
      await client.subscribe(missing, this.#receive, true);
      if (this.#client !== client) return;
      for (const channel of missing) {
        this.#confirmed.add(channel);
        this.#tell(channel);
      }
      return;
    }
    const surplus = take(this.#surplus, BATCH);
    for (const channel of surplus) this.#confirmed.delete(channel);
    await client.unsubscribe(surplus, this.#receive, true);
  }

  #sweep(): void {
    const now = performance.now();
    for (const [channel, until] of this.#lingering) {
      if (until > now) continue;
      this.#lingering.delete(channel);
      this.#wanted.delete(channel);
      this.#missing.delete(channel);
      if (this.#confirmed.has(channel)) this.#surplus.add(channel);
    }
    this.#work();
  }

  #tell(channel: string): void {
    for (const resolve of this.#waiting.get(channel) ?? []) resolve();
    this.#waiting.delete(channel);
  }
}

function take(from: Set<string>, most: number): string[] {
  const taken: string[] = [];
  for (const item of from) {
    if (taken.length === most) break;
    from.delete(item);
    taken.push(item);
  }
  return taken;
}
