import assert from "node:assert/strict";
import type { Cases } from "./contract.ts";

/** What every `ReceiptStore` must do. */
export const RECEIPTS: Cases = {
  "a message is taken once, on whatever instance, and may be taken again when it was abandoned":
    async (join) => {
      const [{ receipts: a }, { receipts: b }] = [await join("a"), await join("b")];
      assert.deepEqual(await a.claim("key", "connection 1"), { state: "new" });
      assert.deepEqual(await b.claim("key", "connection 2"), { state: "busy" });
      assert.deepEqual(await a.claim("key", "connection 1"), { state: "busy" });
      assert.deepEqual(await a.claim("other", "connection 1"), { state: "new" });
      await b.abandon("key", "connection 2");
      assert.deepEqual(await b.claim("key", "connection 2"), { state: "busy" });
      await a.abandon("key", "connection 1");
      assert.deepEqual(await b.claim("key", "connection 2"), { state: "new" });
    },

  "the answer to a message that was handled is there for all who ask": async (join) => {
    const [{ receipts: a }, { receipts: b }] = [await join("a"), await join("b")];
    for (const [key, answer] of [
      ["plain", ""],
      ["json", '{"é":[1,null]}'],
    ] as const) {
      await a.claim(key, "connection 1");
      await a.extend(key, "connection 1");
      await a.finish(key, "connection 1", answer);
      assert.deepEqual(await b.claim(key, "connection 2"), { state: "done", answer });
      // Too late.
      await a.abandon(key, "connection 1");
      assert.deepEqual(await a.claim(key, "connection 1"), { state: "done", answer });
    }
  },

  "of many who take a message at once one gets it": async (join) => {
    const members = [await join("a"), await join("b")];
    const claims = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        members[i % 2]?.receipts.claim("key", `connection ${i}`),
      ),
    );
    assert.equal(claims.filter((claim) => claim?.state === "new").length, 1);
  },
};
