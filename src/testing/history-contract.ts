import assert from "node:assert/strict";
import { setTimeout as wait } from "node:timers/promises";
import type { MessagePacket } from "../backplane/contract/broker.ts";
import type { HistoryStore, LogName } from "../backplane/contract/history-store.ts";
import { EncodedMessage } from "../protocol/encoded-message.ts";
import type { Cases, Join, Member } from "./contract.ts";

const POLICY = { maxLength: 1000, ttlMs: 60_000 };

function packet(value: unknown): MessagePacket {
  return { type: "message", message: EncodedMessage.from(value), except: null };
}

/** An instance that is subscribed to `room:a`, with what its broker brought, in order. */
async function one(
  join: Join,
): Promise<{ history: HistoryStore; received: Member["recorder"]["received"] }> {
  const { broker, history, recorder } = await join("a");
  await broker.subscribe("room:a");
  return { history, received: recorder.received };
}

/** What every `HistoryStore` must do. */
export const HISTORY: Cases = {
  "an append is delivered, and resolves with its position and recipients": async (join) => {
    const { history, received } = await one(join);
    const publication = await history.append("room:a", packet("hi"), POLICY);
    assert.deepEqual({ ...publication, id: "" }, { scope: "cluster", localRecipients: 1, id: "" });
    assert.match(publication.id, /^\d+-\d+~/);
    const [first, ...others] = received;
    assert.deepEqual(others, []);
    assert.equal(first?.channel, "room:a");
    if (first?.packet.type !== "message") assert.fail("It is no message.");
    assert.equal(first.packet.message.data.toString(), "hi");
    assert.deepEqual(first.packet.link, { id: publication.id, prev: "0" });
  },

  "members get messages in the order of the log": async (join) => {
    const { history, received } = await one(join);
    await Promise.all(
      Array.from({ length: 100 }, (_, i) => history.append("room:a", packet(i), POLICY)),
    );
    const { entries } = await history.read("room:a", "0", 1000);
    const log = entries.map(({ message }) => message.data.toString());
    const live = received.map((one) =>
      one.packet.type === "message" ? one.packet.message.data.toString() : "",
    );
    assert.deepEqual(live, log);
    assert.equal(new Set(log).size, 100);
  },

  "each entry names the one before it, the first the beginning": async (join) => {
    const { history } = await one(join);
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.push((await history.append("room:a", packet(i), POLICY)).id);
    const { entries, next } = await history.read("room:a", "0", 1000);
    assert.equal(next, undefined);
    assert.deepEqual(
      entries.map(({ id }) => id),
      ids,
    );
    assert.deepEqual(
      entries.map(({ prev }) => prev),
      ["0", ...ids.slice(0, -1)],
    );
  },

  "payloads are kept byte for byte, text and binary": async (join) => {
    const { history } = await one(join);
    const values = ["", "é😀", new Uint8Array([0, 255, 0xd8, 10]), { a: [null] }];
    for (const value of values) await history.append("room:a", packet(value), POLICY);
    const { entries } = await history.read("room:a", "0", 10);
    assert.deepEqual(
      entries.map(({ message: { data, binary } }) => ({ data, binary })),
      values.map((value) => {
        const { data, binary } = EncodedMessage.from(value);
        return { data, binary };
      }),
    );
  },

  "reading goes on after a position that is not read again, a page at a time": async (join) => {
    const { history } = await one(join);
    for (let i = 0; i < 25; i++) await history.append("room:a", packet(i), POLICY);
    const seen: string[] = [];
    for (let since: string | undefined = "0"; since !== undefined; ) {
      const page = await history.read("room:a", since, 10);
      assert.ok(page.entries.length <= 10);
      seen.push(...page.entries.map(({ message }) => message.data.toString()));
      since = page.next;
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 25 }, (_, i) => String(i)),
    );
  },

  "rooms have logs of their own, and one nobody wrote to is empty": async (join) => {
    const { history } = await one(join);
    await history.append("room:a", packet("in a"), POLICY);
    await history.append("room:b", packet("in b"), POLICY);
    const texts = async (room: LogName): Promise<string[]> =>
      (await history.read(room, "0", 10)).entries.map(({ message }) => message.data.toString());
    assert.deepEqual(await texts("room:a"), ["in a"]);
    assert.deepEqual(await texts("room:b"), ["in b"]);
    assert.deepEqual(await texts("room:c"), []);
  },

  "a malformed position is a RangeError": async (join) => {
    const { history } = await one(join);
    for (const since of ["", "1", "x-y~z", "1-1~", "0-0"]) {
      await assert.rejects(history.read("room:a", since, 10), RangeError);
    }
  },

  "the log is bounded": async (join) => {
    const { history } = await one(join);
    for (let i = 0; i < 400; i++) {
      await history.append("room:a", packet(i), { maxLength: 10, ttlMs: 60_000 });
    }
    const { entries } = await history.read("room:a", "0", 1000);
    // A store may trim in steps, but not forget what it must keep.
    assert.ok(entries.length >= 10);
    assert.ok(entries.length <= 110);
    assert.equal(entries.at(-1)?.message.data.toString(), "399");
  },

  "a log that was not written to for its time is forgotten": async (join) => {
    const { history } = await one(join);
    await history.append("room:a", packet("old"), { maxLength: 10, ttlMs: 1000 });
    while ((await history.read("room:a", "0", 10)).entries.length > 0) await wait(20);
  },

  "what members get names its place and its predecessor's, as the log does": async (join) => {
    const { history, received } = await one(join);
    for (let i = 0; i < 5; i++) await history.append("room:a", packet(i), POLICY);
    const { entries, end } = await history.read("room:a", "0", 10);
    const links = received.map(({ packet: one }) => (one.type === "message" ? one.link : null));
    assert.deepEqual(
      links,
      entries.map(({ id, prev }) => ({ id, prev })),
    );
    assert.equal(end, entries.at(-1)?.id);
  },

  "whom a message left out is kept with it": async (join) => {
    const { history } = await one(join);
    const except = { connections: ["c1"], users: ["alice"] };
    await history.append("room:a", { ...packet("x"), except }, POLICY);
    const { entries } = await history.read("room:a", "0", 10);
    assert.deepEqual(
      entries.map((entry) => entry.except),
      [except],
    );
  },

  "an idempotency key stores and sends a message once, and tells each time where": async (join) => {
    const { history, received } = await one(join);
    const first = await history.append("room:a", packet("x"), POLICY, "key");
    const again = await history.append("room:a", packet("x"), POLICY, "key");
    assert.deepEqual(again, { scope: "cluster", localRecipients: 0, id: first.id });
    const other = await history.append("room:a", packet("y"), POLICY, "other");
    const elsewhere = await history.append("room:b", packet("x"), POLICY, "key");
    assert.equal(new Set([first.id, other.id, elsewhere.id]).size, 3);
    assert.equal(received.length, 2);
    assert.equal((await history.read("room:a", "0", 10)).entries.length, 2);
  },

  "the tail is the newest messages, bounded in number and bytes": async (join) => {
    const { history } = await one(join);
    const ids: string[] = [];
    for (let i = 0; i < 100; i++) {
      ids.push((await history.append("room:a", packet("x".repeat(100)), POLICY)).id);
    }
    const idsOf = async (limit: number, bytes: number): Promise<string[]> =>
      (await history.tail("room:a", limit, bytes)).entries.map(({ id }) => id);
    assert.deepEqual(await idsOf(1000, 1_000_000), ids);
    assert.deepEqual(await idsOf(40, 1_000_000), ids.slice(-40));
    const bounded = await idsOf(1000, 1000);
    assert.ok(bounded.length > 2);
    assert.ok(bounded.length <= 10);
    assert.deepEqual(bounded, ids.slice(-bounded.length));
    assert.deepEqual(await history.tail("room:a", 0, 0), { entries: [], end: ids.at(-1) });
    assert.deepEqual(await history.tail("room:b", 10, 1000), { entries: [], end: "0" });
  },

  "following begins where the log ends, and brings what comes": async (join) => {
    const { history, received } = await one(join);
    assert.equal(await history.follow("room:b", POLICY), "0");
    const { id } = await history.append("room:b", packet("x"), POLICY);
    assert.deepEqual(
      received.map(({ channel }) => channel),
      ["room:b"],
    );
    assert.equal(await history.follow("room:b", POLICY), id);
    const logs = ["room:b", "room:unwritten"] as const;
    const ends = await history.ends(logs.map((log) => ({ log, policy: POLICY })));
    assert.deepEqual(ends, [id, "0"]);
  },

  "a log that was forgotten goes on from where it ended": async (join) => {
    const { history } = await one(join);
    const policy = { maxLength: 10, ttlMs: 1000 };
    const { id } = await history.append("room:a", packet("old"), policy);
    while ((await history.read("room:a", "0", 10)).entries.length > 0) await wait(20);
    assert.equal((await history.read("room:a", id, 10)).end, id);
    await history.append("room:a", packet("new"), policy);
    assert.deepEqual(
      (await history.read("room:a", id, 10)).entries.map(({ prev }) => prev),
      [id],
    );
  },
};
