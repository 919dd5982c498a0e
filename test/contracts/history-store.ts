import { describe, expect, test } from "vitest";
import type { Channel, MessagePacket, Packet } from "../../src/backplane/broker.ts";
import type { HistoryStore, LogName } from "../../src/backplane/history-store.ts";
import { EncodedMessage } from "../../src/protocol/encoded-message.ts";

/** An instance that is subscribed to `room:a`, with its store. */
export interface HistoryFixture {
  readonly history: HistoryStore;
  /** What its broker brought, in order. */
  readonly received: readonly { readonly channel: Channel; readonly packet: Packet }[];
}

const POLICY = { maxLength: 1000, ttlMs: 60_000 };

function packet(value: unknown): MessagePacket {
  return { type: "message", message: EncodedMessage.from(value), except: null };
}

/** What every `HistoryStore` must do. `make` gives a fresh cluster of one. */
export function testHistoryStore(name: string, make: () => Promise<HistoryFixture>): void {
  describe(`${name} as a history store`, () => {
    test("an append is delivered, and resolves with its position and recipients", async () => {
      const { history, received } = await make();
      const publication = await history.append("room:a", packet("hi"), POLICY);
      expect(publication).toEqual({
        scope: "cluster",
        localRecipients: 1,
        id: expect.stringMatching(/^\d+-\d+~/),
      });
      const link = { id: publication.id, prev: "0" };
      expect(received).toEqual([{ channel: "room:a", packet: { ...packet("hi"), link } }]);
    });

    test("members get messages in the order of the log", async () => {
      const { history, received } = await make();
      await Promise.all(
        Array.from({ length: 100 }, (_, i) => history.append("room:a", packet(i), POLICY)),
      );
      const { entries } = await history.read("room:a", "0", 1000);
      const log = entries.map(({ message }) => message.data.toString());
      const live = received.map((one) =>
        one.packet.type === "message" ? one.packet.message.data.toString() : "",
      );
      expect(live).toEqual(log);
      expect(new Set(log).size).toBe(100);
    });

    test("each entry names the one before it, the first the beginning", async () => {
      const { history } = await make();
      const ids: string[] = [];
      for (let i = 0; i < 5; i++) ids.push((await history.append("room:a", packet(i), POLICY)).id);
      const { entries, next } = await history.read("room:a", "0", 1000);
      expect(next).toBeUndefined();
      expect(entries.map(({ id }) => id)).toEqual(ids);
      expect(entries.map(({ prev }) => prev)).toEqual(["0", ...ids.slice(0, -1)]);
    });

    test("payloads are kept byte for byte, text and binary", async () => {
      const { history } = await make();
      const values = ["", "é😀", new Uint8Array([0, 255, 0xd8, 10]), { a: [null] }];
      for (const value of values) await history.append("room:a", packet(value), POLICY);
      const { entries } = await history.read("room:a", "0", 10);
      expect(entries.map(({ message: { data, binary } }) => ({ data, binary }))).toEqual(
        values.map((value) => {
          const { data, binary } = EncodedMessage.from(value);
          return { data, binary };
        }),
      );
    });

    test("reading goes on after a position that is not read again, a page at a time", async () => {
      const { history } = await make();
      for (let i = 0; i < 25; i++) await history.append("room:a", packet(i), POLICY);
      const seen: string[] = [];
      for (let since: string | undefined = "0"; since !== undefined; ) {
        const page = await history.read("room:a", since, 10);
        expect(page.entries.length).toBeLessThanOrEqual(10);
        seen.push(...page.entries.map(({ message }) => message.data.toString()));
        since = page.next;
      }
      expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => String(i)));
    });

    test("rooms have logs of their own, and one nobody wrote to is empty", async () => {
      const { history } = await make();
      await history.append("room:a", packet("in a"), POLICY);
      await history.append("room:b", packet("in b"), POLICY);
      const texts = async (room: LogName): Promise<string[]> =>
        (await history.read(room, "0", 10)).entries.map(({ message }) => message.data.toString());
      expect(await texts("room:a")).toEqual(["in a"]);
      expect(await texts("room:b")).toEqual(["in b"]);
      expect(await texts("room:c")).toEqual([]);
    });

    test("a malformed position is a RangeError", async () => {
      const { history } = await make();
      for (const since of ["", "1", "x-y~z", "1-1~", "0-0"]) {
        await expect(history.read("room:a", since, 10)).rejects.toThrow(RangeError);
      }
    });

    test("the log is bounded", async () => {
      const { history } = await make();
      for (let i = 0; i < 400; i++) {
        await history.append("room:a", packet(i), { maxLength: 10, ttlMs: 60_000 });
      }
      const { entries } = await history.read("room:a", "0", 1000);
      // A store may trim in steps, but not forget what it must keep.
      expect(entries.length).toBeGreaterThanOrEqual(10);
      expect(entries.length).toBeLessThanOrEqual(110);
      expect(entries.at(-1)?.message.data.toString()).toBe("399");
    });

    test("a log that was not written to for its time is forgotten", async () => {
      const { history } = await make();
      await history.append("room:a", packet("old"), { maxLength: 10, ttlMs: 1000 });
      await expect
        .poll(async () => (await history.read("room:a", "0", 10)).entries.length, {
          timeout: 10_000,
        })
        .toBe(0);
    });

    test("what members get names its place and its predecessor's, as the log does", async () => {
      const { history, received } = await make();
      for (let i = 0; i < 5; i++) await history.append("room:a", packet(i), POLICY);
      const { entries, end } = await history.read("room:a", "0", 10);
      const links = received.map(({ packet: one }) => (one.type === "message" ? one.link : null));
      expect(links).toEqual(entries.map(({ id, prev }) => ({ id, prev })));
      expect(end).toBe(entries.at(-1)?.id);
    });

    test("whom a message left out is kept with it", async () => {
      const { history } = await make();
      const except = { connections: ["c1"], users: ["alice"] };
      await history.append("room:a", { ...packet("x"), except }, POLICY);
      const { entries } = await history.read("room:a", "0", 10);
      expect(entries.map((entry) => entry.except)).toEqual([except]);
    });

    test("an idempotency key stores and sends a message once, and tells each time where", async () => {
      const { history, received } = await make();
      const first = await history.append("room:a", packet("x"), POLICY, "key");
      const again = await history.append("room:a", packet("x"), POLICY, "key");
      expect(again).toEqual({ scope: "cluster", localRecipients: 0, id: first.id });
      const other = await history.append("room:a", packet("y"), POLICY, "other");
      const elsewhere = await history.append("room:b", packet("x"), POLICY, "key");
      expect(new Set([first.id, other.id, elsewhere.id]).size).toBe(3);
      expect(received).toHaveLength(2);
      expect((await history.read("room:a", "0", 10)).entries).toHaveLength(2);
    });

    test("the tail is the newest messages, bounded in number and bytes", async () => {
      const { history } = await make();
      const ids: string[] = [];
      for (let i = 0; i < 100; i++) {
        ids.push((await history.append("room:a", packet("x".repeat(100)), POLICY)).id);
      }
      const idsOf = async (limit: number, bytes: number): Promise<string[]> =>
        (await history.tail("room:a", limit, bytes)).entries.map(({ id }) => id);
      expect(await idsOf(1000, 1_000_000)).toEqual(ids);
      expect(await idsOf(40, 1_000_000)).toEqual(ids.slice(-40));
      const bounded = await idsOf(1000, 1000);
      expect(bounded.length).toBeGreaterThan(2);
      expect(bounded.length).toBeLessThanOrEqual(10);
      expect(bounded).toEqual(ids.slice(-bounded.length));
      expect(await history.tail("room:a", 0, 0)).toEqual({ entries: [], end: ids.at(-1) });
      expect(await history.tail("room:b", 10, 1000)).toEqual({ entries: [], end: "0" });
    });

    test("following begins where the log ends, and brings what comes", async () => {
      const { history, received } = await make();
      expect(await history.follow("room:b", POLICY)).toBe("0");
      const { id } = await history.append("room:b", packet("x"), POLICY);
      expect(received.map(({ channel }) => channel)).toEqual(["room:b"]);
      expect(await history.follow("room:b", POLICY)).toBe(id);
      expect(await history.end("room:b", POLICY)).toBe(id);
    });

    test("a log that was forgotten goes on from where it ended", async () => {
      const { history } = await make();
      const policy = { maxLength: 10, ttlMs: 1000 };
      const { id } = await history.append("room:a", packet("old"), policy);
      await expect
        .poll(async () => (await history.read("room:a", "0", 10)).entries.length, {
          timeout: 10_000,
        })
        .toBe(0);
      expect((await history.read("room:a", id, 10)).end).toBe(id);
      await history.append("room:a", packet("new"), policy);
      expect((await history.read("room:a", id, 10)).entries.map(({ prev }) => prev)).toEqual([id]);
    });
  });
}
