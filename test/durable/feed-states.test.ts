import fc from "fast-check";
import { expect, test } from "vitest";
import type { MessagePacket } from "../../src/backplane/contract/broker.ts";
import type { HistoryEntry, HistoryPage } from "../../src/backplane/contract/history-store.ts";
import { Feed } from "../../src/durable/feed.ts";
import { EncodedMessage } from "../../src/protocol/encoded-message.ts";
import { BackplaneUnavailableError } from "../../src/protocol/errors.ts";

const GAP = "gap";

/** A log whose reads the test can hold back or let fail, and a feed that follows it. */
class Followed {
  readonly entries: HistoryEntry[] = [];
  readonly told: string[] = [];
  readonly failures: unknown[] = [];
  readonly feed: Feed;
  reads = 0;
  resizes = 0;
  error: Error | null = null;
  /** Reads that wait; null: none has to. */
  gates: (() => void)[] | null = null;

  constructor(depth = 1000) {
    this.feed = new Feed(
      {
        read: (since, limit) => this.#read(() => this.#after(since, limit)),
        tail: (limit) => this.#read(() => this.#tail(limit)),
        deliver: ({ link }) => (link === undefined ? 0 : this.told.push(link.id)),
        audience: () => 1,
        gap: () => void this.told.push(GAP),
        failed: (error) => void this.failures.push(error),
        resized: () => void this.resizes++,
      },
      depth,
    );
  }

  get end(): string {
    return this.entries.at(-1)?.id ?? "0";
  }

  /** Writes a message into the log; its packet is on its way. */
  append(text = "x"): MessagePacket {
    const link = { id: `1-${this.entries.length}~n`, prev: this.end };
    const message = EncodedMessage.from(text);
    this.entries.push({ ...link, message, except: null });
    return { type: "message", message, except: null, link };
  }

  openGates(): void {
    const gates = this.gates ?? [];
    this.gates = null;
    for (const open of gates) open();
  }

  /** Lets everything come to rest that does not wait for a gate or a timer. */
  async rest(): Promise<void> {
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  }

  async #read(page: () => HistoryPage): Promise<HistoryPage> {
    this.reads++;
    if (this.error !== null) throw this.error;
    // What a read answers is what was there when it came.
    const answer = page();
    const { gates } = this;
    if (gates !== null) await new Promise<void>((resolve) => void gates.push(resolve));
    return answer;
  }

  #after(since: string, limit: number): HistoryPage {
    const from = since === "0" ? 0 : this.entries.findIndex(({ id }) => id === since) + 1;
    const rest = this.entries.slice(from);
    const entries = rest.slice(0, limit);
    const last = entries.at(-1);
    const next = rest.length > limit && last !== undefined ? { next: last.id } : {};
    return { entries, end: this.end, ...next };
  }

  #tail(limit: number): HistoryPage {
    return { entries: limit === 0 ? [] : this.entries.slice(-limit), end: this.end };
  }
}

function idOf({ link }: MessagePacket): string {
  return link?.id ?? "";
}

test("messages on their way from before its beginning do not move a feed backwards", async () => {
  for (const held of [["first", "second"], ["first"], ["second"]]) {
    const log = new Followed();
    const [first, second] = [log.append(), log.append()];
    // The channel was still subscribed to, so they come before anybody knows where the log ends.
    if (held.includes("first")) log.feed.receive(first);
    if (held.includes("second")) log.feed.receive(second);
    log.feed.begin(idOf(second));
    if (!held.includes("second")) log.feed.receive(second);
    await log.rest();
    const third = log.append();
    log.feed.receive(third);
    await log.rest();
    expect(log.told).toEqual([idOf(third)]);
    expect(log.feed.position).toBe(idOf(third));
  }
});

test("what waits beyond the bound while a log is read is read as soon as that is over", async () => {
  const log = new Followed();
  const expected = [log.append()].map(idOf);
  log.gates = [];
  log.feed.begin("0");
  const text = "x".repeat(20_000);
  for (let i = 0; i < 200; i++) {
    const packet = log.append(text);
    expected.push(idOf(packet));
    log.feed.receive(packet);
  }
  log.openGates();
  await log.rest();
  expect(log.told).toEqual(expected);
});

test("a feed that closes while it fills its ring says nothing more of its size", async () => {
  const log = new Followed();
  for (let i = 0; i < 10; i++) log.append("x".repeat(1000));
  log.feed.begin(log.end);
  await log.rest();
  log.gates = [];
  const prepared = log.feed.prepare("0");
  await log.rest();
  const before = log.resizes;
  log.feed.close();
  log.openGates();
  await prepared;
  expect(log.resizes).toBe(before);
});

test("a log that cannot be decoded is not read again for each message that comes", async () => {
  const log = new Followed();
  log.feed.begin("0");
  await log.rest();
  log.error = new SyntaxError("what is this");
  const before = log.reads;
  for (let i = 0; i < 500; i++) {
    const lost = log.append();
    log.feed.receive(log.append());
    expect(idOf(lost)).not.toBe("");
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(log.reads - before).toBeLessThanOrEqual(2);
  expect(log.failures.length).toBeLessThanOrEqual(2);
  log.feed.close();
});

test("who joined when nobody could tell where the log was is told of a gap, and then of everything", async () => {
  const log = new Followed();
  log.append();
  log.feed.begin(null);
  log.append();
  // Acknowledged elsewhere, never heard here.
  const heard = log.append();
  log.feed.receive(heard);
  await log.rest();
  expect(log.told).toEqual([GAP, idOf(heard)]);
  const quiet = new Followed();
  quiet.feed.begin(null);
  quiet.append();
  quiet.feed.check();
  await quiet.rest();
  expect(quiet.told).toEqual([GAP]);
  expect(quiet.feed.position).toBe(quiet.end);
});

test("a service that is away is asked again when it is back, not before", async () => {
  const log = new Followed();
  log.feed.begin("0");
  await log.rest();
  log.error = new BackplaneUnavailableError("away", "not-stored");
  const missed = log.append();
  log.feed.check();
  await log.rest();
  const { reads } = log;
  await log.rest();
  expect(log.reads).toBe(reads);
  log.error = null;
  log.feed.check();
  await log.rest();
  expect(log.told).toEqual([idOf(missed)]);
});

test("a client that is ahead of the feed is answered when the feed has caught up", async () => {
  const log = new Followed();
  log.feed.begin("0");
  await log.rest();
  const [seen, next] = [log.append(), log.append()];
  await log.feed.prepare(idOf(seen));
  expect(log.feed.recent(idOf(seen))?.map(({ id }) => id)).toEqual([idOf(next)]);
  expect(log.told).toEqual([idOf(seen), idOf(next)]);
});

test("what was delivered is known as such long after the ring has forgotten it", async () => {
  const log = new Followed(20);
  log.feed.begin("0");
  await log.rest();
  const packets = Array.from({ length: 500 }, () => log.append());
  for (const packet of packets) log.feed.receive(packet);
  const { reads } = log;
  for (const packet of packets) log.feed.receive(packet);
  await log.rest();
  expect(log.reads).toBe(reads);
  expect(log.told).toEqual(packets.map(idOf));
});

test("whatever of its messages is late, lost or comes twice, a feed tells each once and in order", async () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant("append" as const), to: fc.nat(3) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("deliver" as const), to: fc.nat(5) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constantFrom("hold" as const, "open" as const, "again" as const, "check" as const),
        to: fc.nat(5),
      }),
    },
  );
  const property = async (
    steps: readonly { do: string; to: number }[],
    beginAt: number,
  ): Promise<void> => {
    const log = new Followed(5);
    const onTheWay: MessagePacket[] = [];
    let from = "0";
    for (const [i, { do: what, to }] of steps.entries()) {
      if (i === Math.min(beginAt, steps.length - 1)) {
        from = log.end;
        log.feed.begin(from);
      }
      if (what === "append") {
        const packet = log.append();
        // Delivered, delivered later, or lost.
        if (to === 0) log.feed.receive(packet);
        else if (to < 3) onTheWay.push(packet);
      } else if (what === "deliver" || what === "again") {
        const packet = onTheWay[to];
        if (packet !== undefined) log.feed.receive(packet);
        if (what === "deliver") onTheWay.splice(to, 1);
      } else if (what === "hold") log.gates ??= [];
      else if (what === "open") {
        log.openGates();
        await log.rest();
      } else if (i > beginAt) log.feed.check();
    }
    log.openGates();
    for (const packet of onTheWay) log.feed.receive(packet);
    log.feed.check();
    await log.rest();
    const start = log.entries.findIndex(({ id }) => id === from) + 1;
    expect(log.told).toEqual(log.entries.slice(start).map(({ id }) => id));
  };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), fc.nat(10), property),
    { numRuns: 500 },
  );
});
