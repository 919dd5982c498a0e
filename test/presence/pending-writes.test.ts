import fc from "fast-check";
import { expect, test } from "vitest";
import { PendingWrites } from "../../src/presence/pending-writes.ts";

async function turns(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve));
}

test("writes about a user in a place come one after another, and who reads waits for those before it", async () => {
  const step = fc.record({ user: fc.nat(2), place: fc.nat(2), ends: fc.nat(5) });
  const property = async (steps: readonly { user: number; place: number; ends: number }[]) => {
    const writes = new PendingWrites();
    const open: { key: string; end: () => void }[] = [];
    const begun: string[] = [];
    const reads: { readonly owed: number; isDone: boolean }[] = [];
    let ended = 0;
    for (const [number, { user, place, ends }] of steps.entries()) {
      const key = `${user} ${place}`;
      void writes.add(`${place}`, `${user}`, async (before) => {
        await before;
        expect(open.filter((one) => one.key === key)).toEqual([]);
        begun.push(key);
        await new Promise<void>((resolve) => void open.push({ key, end: resolve }));
      });
      const read = { owed: number + 1, isDone: false };
      reads.push(read);
      void writes.all().then(() => {
        read.isDone = true;
        expect(ended).toBeGreaterThanOrEqual(read.owed);
      });
      for (let i = 0; i < ends; i++) {
        await turns();
        const [one] = open.splice(i % Math.max(1, open.length), 1);
        if (one === undefined) break;
        ended++;
        one.end();
      }
    }
    await turns();
    while (open.length > 0) {
      const [one] = open.splice(0, 1);
      ended++;
      one?.end();
      await turns();
    }
    await turns();
    expect(begun).toHaveLength(steps.length);
    expect(reads.every(({ isDone }) => isDone)).toBe(true);
    await writes.about("0", "0");
    await writes.all();
  };
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 30 }), property));
});

test("a read of one user in one place waits for nobody else", async () => {
  const writes = new PendingWrites();
  void writes.add("room", "alice", () => new Promise(() => {}));
  await writes.about("room", "bob");
  await writes.about("lobby", "alice");
});
