import { describe, expect, test } from "vitest";
import type { Channel, MessagePacket, Packet } from "../../src/backplane/broker.ts";
import type { HistoryStore } from "../../src/backplane/history-store.ts";
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
      const publication = await history.append("a", packet("hi"), POLICY);
      expect(publication).toEqual({
        scope: "cluster",
        localRecipients: 1,
        id: expect.stringMatching(/^\d+-\d+~/),
      });
      expect(received).toEqual([{ channel: "room:a", packet: packet("hi") }]);
    });

    test("members get messages in the order of the log", async () => {
      const { history, received } = await make();
      await Promise.all(
        Array.from({ length: 100 }, (_, i) => history.append("a", packet(i), POLICY)),
      );
      const { entries } = await history.read("a", "0", 1000);
      const log = entries.map(({ payload }) => payload.data.toString());
      const live = received.map((one) =>
        one.packet.type === "message" ? one.packet.message.data.toString() : "",
      );
      expect(live).toEqual(log);
      expect(new Set(log).size).toBe(100);
    });

    test("each entry names the one before it, the first the beginning", async () => {
      const { history } = await make();
      const ids: string[] = [];
      for (let i = 0; i < 5; i++) ids.push((await history.append("a", packet(i), POLICY)).id);
      const { entries, next } = await history.read("a", "0", 1000);
      expect(next).toBeUndefined();
      expect(entries.map(({ id }) => id)).toEqual(ids);
      expect(entries.map(({ prev }) => prev)).toEqual(["0", ...ids.slice(0, -1)]);
    });

    test("payloads are kept byte for byte, text and binary", async () => {
      const { history } = await make();
      const values = ["", "é😀", new Uint8Array([0, 255, 0xd8, 10]), { a: [null] }];
      for (const value of values) await history.append("a", packet(value), POLICY);
      const { entries } = await history.read("a", "0", 10);
      expect(entries.map(({ payload: { data, binary } }) => ({ data, binary }))).toEqual(
        values.map((value) => {
          const { data, binary } = EncodedMessage.from(value);
          return { data, binary };
        }),
      );
    });

    test("reading goes on after a position that is not read again, a page at a time", async () => {
      const { history } = await make();
      for (let i = 0; i < 25; i++) await history.append("a", packet(i), POLICY);
      const seen: string[] = [];
      for (let since: string | undefined = "0"; since !== undefined; ) {
        const page = await history.read("a", since, 10);
        expect(page.entries.length).toBeLessThanOrEqual(10);
        seen.push(...page.entries.map(({ payload }) => payload.data.toString()));
        since = page.next;
      }
      expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => String(i)));
    });

    test("rooms have logs of their own, and one nobody wrote to is empty", async () => {
      const { history } = await make();
      await history.append("a", packet("in a"), POLICY);
      await history.append("b", packet("in b"), POLICY);
      const texts = async (room: string): Promise<string[]> =>
        (await history.read(room, "0", 10)).entries.map(({ payload }) => payload.data.toString());
      expect(await texts("a")).toEqual(["in a"]);
      expect(await texts("b")).toEqual(["in b"]);
      expect(await texts("c")).toEqual([]);
    });

    test("a malformed position is a RangeError", async () => {
      const { history } = await make();
      for (const since of ["", "1", "x-y~z", "1-1~", "0-0"]) {
        await expect(history.read("a", since, 10)).rejects.toThrow(RangeError);
      }
    });

    test("the log is bounded", async () => {
      const { history } = await make();
      for (let i = 0; i < 400; i++) {
        await history.append("a", packet(i), { maxLength: 10, ttlMs: 60_000 });
      }
      const { entries } = await history.read("a", "0", 1000);
      // A store may trim in steps, but not forget what it must keep.
      expect(entries.length).toBeGreaterThanOrEqual(10);
      expect(entries.length).toBeLessThanOrEqual(110);
      expect(entries.at(-1)?.payload.data.toString()).toBe("399");
    });

    test("a log that was not written to for its time is forgotten", async () => {
      const { history } = await make();
      await history.append("a", packet("old"), { maxLength: 10, ttlMs: 1000 });
      await expect
        .poll(async () => (await history.read("a", "0", 10)).entries.length, { timeout: 10_000 })
        .toBe(0);
    });
  });
}
