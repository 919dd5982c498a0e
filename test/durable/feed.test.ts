import { randomBytes } from "node:crypto";
import { createClient, RESP_TYPES } from "@redis/client";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Channel, MessagePacket, Packet } from "../../src/backplane/contract/broker.ts";
import type {
  HistoryEntry,
  HistoryPolicy,
  HistoryStore,
  LogName,
} from "../../src/backplane/contract/history-store.ts";
import { memoryBackplane } from "../../src/backplane/memory/memory-backplane.ts";
import { RedisLink } from "../../src/backplane/redis/channels.ts";
import { Keys } from "../../src/backplane/redis/keys.ts";
import { clientFactory } from "../../src/backplane/redis/net/client-factory.ts";
import type { Client } from "../../src/backplane/redis/net/connection.ts";
import { RedisHistory } from "../../src/backplane/redis/redis-history.ts";
import { Feed } from "../../src/durable/feed.ts";
import { EncodedMessage } from "../../src/protocol/encoded-message.ts";
import type { Link } from "../../src/protocol/roomcast-v1.ts";
import { useDisposals } from "../support/disposals.ts";
import { Recorder } from "../support/recorder.ts";
import { startRedisServer } from "../support/redis-server.ts";

const onDispose = useDisposals();

const DEPTH = 1000;
const GAP = "gap";

/** An instance with feeds, below the manager: hands them what its broker brings. */
class FeedInstance extends Recorder {
  readonly feeds: Map<Channel, Feed> = new Map();

  override receive(channel: Channel, packet: Packet): number {
    if (packet.type === "message") this.feeds.get(channel)?.receive(packet);
    return 1;
  }
}

/** A feed, and what its members were told: messages, and gaps. */
async function follow(
  history: HistoryStore,
  log: LogName,
  policy: HistoryPolicy,
  instance: FeedInstance | null,
): Promise<{ feed: Feed; told: (Link | typeof GAP)[] }> {
  const told: (Link | typeof GAP)[] = [];
  const host = {
    read: (since: string, limit: number) => history.read(log, since, limit),
    tail: (limit: number, maxBytes: number) => history.tail(log, limit, maxBytes),
    deliver: ({ link }: MessagePacket) => (link === undefined ? 0 : told.push(link)),
    audience: () => 1,
    gap: () => void told.push(GAP),
    failed: (error: unknown) => {
      throw error;
    },
    resized: () => {},
  };
  const feed = new Feed(host, DEPTH);
  instance?.feeds.set(log, feed);
  feed.begin(await history.follow(log, policy));
  return { feed, told };
}

/** Everything after a position, as a client that comes back would be told; null: it cannot be told. */
async function recover(feed: Feed, position: string): Promise<string[] | null> {
  await feed.prepare(position);
  return feed.recent(position)?.map(({ id }: HistoryEntry) => id) ?? null;
}

/** What a log holds, as the test knows it from what it did to it. */
class Model {
  entries: Link[] = [];
  /** The key that tells where the log ends. */
  endKey: string | null = null;

  get end(): string {
    return this.endKey ?? this.entries.at(-1)?.id ?? "0";
  }

  append(id: string): void {
    this.entries.push({ id, prev: this.end });
    this.endKey = id;
  }

  /** Walks back from the end, link by link. */
  after(position: string): string[] | null {
    const found: string[] = [];
    for (let at = this.end; at !== position; ) {
      const entry = this.entries.find(({ id }) => id === at);
      if (entry === undefined) return null;
      found.unshift(entry.id);
      at = entry.prev;
    }
    return found;
  }
}

function packet(): MessagePacket {
  return { type: "message", message: EncodedMessage.from("x"), except: null };
}

/** Nobody may be sent a message twice, or one that does not follow the last without having been told of a gap. */
function checkTold(told: readonly (Link | typeof GAP)[]): void {
  const ids = told.flatMap((one) => (one === GAP ? [] : one.id));
  expect(new Set(ids).size).toBe(ids.length);
  for (const [i, one] of told.entries()) {
    const before = told[i - 1];
    if (one !== GAP && before !== undefined && before !== GAP) expect(one.prev).toBe(before.id);
  }
}

const operation = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant("append"), n: fc.integer({ min: 1, max: 8 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("trim", "lose log", "lose end", "save", "roll back", "empty"),
      n: fc.nat(6),
    }),
  },
);
const operations = fc.array(operation, { minLength: 1, maxLength: 14 });

test("600 random histories on Redis: what is recovered is complete, what can be recovered is, nobody misses a gap", async () => {
  const server = await startRedisServer();
  onDispose(server.dispose);
  const keys = new Keys("ws:");
  const instance = new FeedInstance("a");
  const link = new RedisLink(clientFactory({ url: server.url }, "a"), keys, instance, "a#1", {
    joining: async () => {},
    living: async () => 0,
    told: () => true,
    trouble: () => {},
  });
  onDispose(() => link.stop());
  await link.start();
  const history = new RedisHistory(keys, link.broker, link.scripts);
  const redis = createClient({ url: server.url }) as Client;
  await redis.connect();
  onDispose(() => redis.destroy());
  const policy = { maxLength: 100_000, ttlMs: 3_600_000 };
  const outcomes = { recovered: 0, lost: 0, gaps: 0 };

  const property = async (steps: readonly { do: string; n: number }[]): Promise<void> => {
    const log = `room:${randomBytes(6).toString("hex")}` as const;
    const [stream, end] = [keys.log(log), keys.logEnd(log)];
    const dump = async (key: string): Promise<Buffer | null> => {
      const reply = await redis.sendCommand(["DUMP", key], {
        typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer },
      });
      return reply as unknown as Buffer | null;
    };
    const model = new Model();
    let saved: { dumps: (Buffer | null)[]; entries: Link[]; endKey: string | null } | null = null;
    let damaged = false;
    const { feed, told } = await follow(history, log, policy, instance);
    const all = ["0"];
    for (const step of steps) {
      if (step.do !== "append" && step.do !== "save") damaged = true;
      switch (step.do) {
        case "append":
          for (let i = 0; i < step.n; i++) {
            const { id } = await history.append(log, packet(), policy);
            model.append(id);
            all.push(id);
          }
          break;
        case "trim":
          await redis.xTrim(stream, "MAXLEN", step.n);
          model.entries = step.n === 0 ? [] : model.entries.slice(-step.n);
          break;
        case "lose log":
          await redis.del(stream);
          model.entries = [];
          break;
        case "lose end":
          await redis.del(end);
          model.endKey = null;
          break;
        case "save": {
          const dumps = [await dump(stream), await dump(end)];
          saved = { dumps, entries: [...model.entries], endKey: model.endKey };
          break;
        }
        case "roll back":
          if (saved === null) break;
          for (const [i, key] of [stream, end].entries()) {
            const bytes = saved.dumps[i];
            await redis.del(key);
            if (bytes) await redis.sendCommand(["RESTORE", key, "0", bytes]);
          }
          model.entries = [...saved.entries];
          model.endKey = saved.endKey;
          break;
        case "empty":
          await redis.del([stream, end]);
          model.entries = [];
          model.endKey = null;
      }
    }
    // The first look may find messages on their way that the log has lost again since.
    for (let i = 0; i < 2; i++) {
      feed.check();
      await feed.prepare(feed.position ?? "0");
    }
    expect(feed.position).toBe(model.end);
    checkTold(told);
    if (!damaged) expect(told.map((one) => (one === GAP ? GAP : one.id))).toEqual(all.slice(1));
    outcomes.gaps += told.filter((one) => one === GAP).length;

    // A fresh instance, and the one that was there all the time.
    const fresh = await follow(history, log, policy, null);
    for (const position of all) {
      const expected = model.after(position);
      expect(await recover(fresh.feed, position)).toEqual(expected);
      const here = await recover(feed, position);
      // It may remember more than the log has, but never something else.
      if (here === null) expect(expected).toBeNull();
      else if (expected !== null) expect(here).toEqual(expected);
      else
        expect(here).toEqual(told.slice(-here.length).map((one) => (one === GAP ? GAP : one.id)));
      outcomes[expected === null ? "lost" : "recovered"]++;
    }
    instance.feeds.delete(log);
    feed.close();
    fresh.feed.close();
    link.broker.unsubscribe(log);
  };
  await fc.assert(fc.asyncProperty(operations, property), { numRuns: 600 });
  for (const count of Object.values(outcomes)) expect(count).toBeGreaterThan(100);
});

test("600 random histories in memory: what is recovered is complete, and what can be recovered is", async () => {
  const step = fc.record({ n: fc.integer({ min: 1, max: 8 }), restart: fc.nat(9) });
  const property = async (
    steps: readonly { n: number; restart: number }[],
    maxLength: number,
  ): Promise<void> => {
    const policy = { maxLength, ttlMs: 3_600_000 };
    const log = "room:a";
    const instance = new FeedInstance("a");
    let attachment = memoryBackplane().attach(instance);
    let { feed, told } = await follow(attachment.history, log, policy, instance);
    const model = new Model();
    const all = ["0"];
    for (const { n, restart } of steps) {
      if (restart === 0) {
        feed.close();
        attachment = memoryBackplane().attach(instance);
        ({ feed, told } = await follow(attachment.history, log, policy, instance));
        model.entries = [];
        model.endKey = null;
      }
      for (let i = 0; i < n; i++) {
        const { id } = await attachment.history.append(log, packet(), policy);
        model.append(id);
        all.push(id);
      }
      model.entries = model.entries.slice(-maxLength);
    }
    await feed.prepare("0");
    expect(told).not.toContain(GAP);
    checkTold(told);
    const fresh = await follow(attachment.history, log, policy, null);
    for (const position of all) {
      expect(await recover(fresh.feed, position)).toEqual(model.after(position));
    }
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 10 }),
      fc.integer({ min: 1, max: 30 }),
      property,
    ),
    { numRuns: 600 },
  );
});
