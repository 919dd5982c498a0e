import assert from "node:assert/strict";
import type { Cases } from "./contract.ts";
import { LIMIT, two } from "./presence-fixtures.ts";

/** What every `PresenceStore` must do with what belongs to connections: the ids they chose, and the places of their users. */
export const PLACES: Cases = {
  "a chosen connection id belongs to who claimed it last": async (join) => {
    const { here, there } = await two(join);
    assert.equal(await here.locate("chosen"), null);
    assert.equal(await here.claim("chosen"), null);
    assert.equal(await here.claim("chosen"), null);
    assert.equal(await there.locate("chosen"), "here");
    assert.equal(await there.claim("chosen"), "here");
    assert.equal(await here.locate("chosen"), "there");
    await here.release("chosen");
    assert.equal(await here.locate("chosen"), "there");
    await there.release("chosen");
    assert.equal(await here.locate("chosen"), null);
  },

  "a limit holds however many ask at once, on whatever instances": async (join) => {
    const { here, there } = await two(join);
    const asked = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        (i % 2 === 0 ? here : there).reserve("alice", `c${i}`, LIMIT),
      ),
    );
    assert.equal(asked.filter(({ granted }) => granted).length, 2);
    assert.equal((await here.reserve("bob", "other", LIMIT)).granted, true);
    const held = asked.flatMap(({ granted }, i) => (granted ? [i] : []));
    const first = held[0] ?? 0;
    await (first % 2 === 0 ? here : there).unreserve("alice", `c${first}`);
    assert.equal((await there.reserve("alice", "again", LIMIT)).granted, true);
    assert.equal((await here.reserve("alice", "too many", LIMIT)).granted, false);
  },

  "one that holds its place keeps it, and the oldest loses its own where they are replaced": async (
    join,
  ) => {
    const { here, there } = await two(join);
    const limit = { max: 2, whenFull: "replaceOldest" } as const;
    await here.reserve("alice", "one", limit);
    await there.reserve("alice", "two", limit);
    assert.deepEqual(await here.reserve("alice", "one", limit), { granted: true, replaced: [] });
    assert.deepEqual(await there.reserve("alice", "three", limit), {
      granted: true,
      replaced: ["two"],
    });
    assert.deepEqual(await here.reserve("alice", "four", { ...limit, max: 1 }), {
      granted: true,
      replaced: ["one", "three"],
    });
  },

  "nobody gives back another's place": async (join) => {
    const { here, there } = await two(join);
    for (const id of ["one", "two"]) await here.reserve("alice", id, LIMIT);
    await there.unreserve("alice", "one");
    assert.equal((await there.reserve("alice", "three", LIMIT)).granted, false);
  },
};
