import { describe, expect, test } from "vitest";
import type {
  PresenceStore,
  PresenceWatcher,
  Transition,
} from "../../src/backplane/presence-store.ts";

/** Some instances of a cluster. */
export interface PresenceFixture {
  /** Joins an instance to the cluster. */
  join(instance: string): Promise<PresenceStore>;
}

const ENTRY = { connectedAt: 1_700_000_000_000, metadata: { device: "phone", é: [1, null] } };
const LIMIT = { max: 2, whenFull: "reject" } as const;

async function collect(list: AsyncIterable<string>): Promise<string[]> {
  const items: string[] = [];
  for await (const item of list) items.push(item);
  return items.sort();
}

function sorted(transitions: readonly Transition[]): string[] {
  return transitions.map(({ type, user, room = "" }) => `${type} ${user} ${room}`.trim()).sort();
}

/** What every `PresenceStore` must do. `make` gives a fresh cluster. */
export function testPresenceStore(name: string, make: () => Promise<PresenceFixture>): void {
  async function two(): Promise<{ here: PresenceStore; there: PresenceStore }> {
    const cluster = await make();
    return { here: await cluster.join("here"), there: await cluster.join("there") };
  }

  describe(`${name} as a presence store`, () => {
    test("a user comes online with the first instance and goes offline with the last", async () => {
      const { here, there } = await two();
      expect(await here.isOnline("alice")).toBe(false);
      expect(await here.online("alice", ENTRY)).toEqual({ first: true, rooms: [] });
      expect(await there.online("alice", ENTRY)).toEqual({ first: false, rooms: [] });
      expect(await here.offline("alice")).toBe(false);
      expect(await there.isOnline("alice")).toBe(true);
      expect(await there.offline("alice")).toBe(true);
      expect(await here.isOnline("alice")).toBe(false);
    });

    test("what is known of a user is answered as it was given, for each instance", async () => {
      const { here, there } = await two();
      await here.online("alice", ENTRY);
      await there.online("alice", { connectedAt: 1, metadata: {} });
      const { online, instances } = await there.get("alice");
      expect(online).toBe(true);
      expect([...instances].sort((a, b) => b.connectedAt - a.connectedAt)).toEqual([
        { instance: "here", ...ENTRY },
        { instance: "there", connectedAt: 1, metadata: {} },
      ]);
      expect(await there.get("bob")).toEqual({ online: false, instances: [] });
    });

    test("writes may be repeated", async () => {
      const { here, there } = await two();
      expect((await here.online("alice", ENTRY)).first).toBe(true);
      expect((await here.online("alice", ENTRY)).first).toBe(false);
      expect(await there.offline("alice")).toBe(false);
      expect(await here.offline("alice")).toBe(true);
      expect(await here.offline("alice")).toBe(false);
      expect(await here.exit("room", "alice")).toBe(false);
    });

    test("a user is in a room from the first instance to the last", async () => {
      const { here, there } = await two();
      for (const store of [here, there]) await store.online("alice", ENTRY);
      expect(await here.enter("room", "alice")).toBe(true);
      expect(await there.enter("room", "alice")).toBe(false);
      expect(await collect(there.roomUsers("room"))).toEqual(["alice"]);
      expect(await there.roomUserCount("room")).toBe(1);
      expect(await here.exit("room", "alice")).toBe(false);
      expect(await collect(here.roomUsers("room"))).toEqual(["alice"]);
      expect(await there.exit("room", "alice")).toBe(true);
      expect(await collect(there.roomUsers("room"))).toEqual([]);
      expect(await there.roomUserCount("room")).toBe(0);
    });

    test("the rooms of a user are those of all instances, each once", async () => {
      const { here, there } = await two();
      for (const room of ["a", "b", "room:online"]) await here.enter(room, "alice");
      for (const room of ["b", "c"]) await there.enter(room, "alice");
      await there.enter("other", "bob");
      expect(await collect(here.userRooms("alice"))).toEqual(["a", "b", "c", "room:online"]);
      await here.exit("a", "alice");
      await here.exit("b", "alice");
      expect(await collect(there.userRooms("alice"))).toEqual(["b", "c", "room:online"]);
      expect(await collect(there.userRooms("nobody"))).toEqual([]);
    });

    test("everyone online is listed and counted once", async () => {
      const { here, there } = await two();
      const users = Array.from({ length: 1500 }, (_, i) => `user ${i}`);
      await Promise.all(users.map((user) => here.online(user, ENTRY)));
      await Promise.all(users.slice(0, 700).map((user) => there.online(user, ENTRY)));
      await there.online("zoe", ENTRY);
      expect(await collect(here.onlineUsers())).toEqual([...users, "zoe"].sort());
      expect(await there.onlineCount()).toBe(1501);
    });

    test("of many instances that ask at once exactly one is told that it was the first, or the last", async () => {
      const cluster = await make();
      const stores = await Promise.all(["a", "b", "c", "d"].map((id) => cluster.join(id)));
      for (let round = 0; round < 10; round++) {
        const firsts = await Promise.all(stores.map((store) => store.online("alice", ENTRY)));
        expect(firsts.filter(({ first }) => first)).toHaveLength(1);
        const enters = await Promise.all(stores.map((store) => store.enter("room", "alice")));
        expect(enters.filter(Boolean)).toHaveLength(1);
        const exits = await Promise.all(stores.map((store) => store.exit("room", "alice")));
        expect(exits.filter(Boolean)).toHaveLength(1);
        const lasts = await Promise.all(stores.map((store) => store.offline("alice")));
        expect(lasts.filter(Boolean)).toHaveLength(1);
      }
    });

    test("rooms joined as a user are told to every instance that gets them, until they are offline", async () => {
      const { here, there } = await two();
      expect(await there.joinAsUser("alice", "vip")).toBe(false);
      await here.online("alice", ENTRY);
      expect(await there.joinAsUser("alice", "vip")).toBe(true);
      expect(await here.joinAsUser("alice", "vip")).toBe(false);
      expect(await here.joinAsUser("alice", "club")).toBe(true);
      const { rooms } = await there.online("alice", ENTRY);
      expect([...rooms].sort()).toEqual(["club", "vip"]);
      expect(await here.leaveAsUser("alice", "club")).toBe(true);
      expect(await there.leaveAsUser("alice", "club")).toBe(false);
      await here.offline("alice");
      expect((await here.online("alice", ENTRY)).rooms).toEqual(["vip"]);
      await here.offline("alice");
      await there.offline("alice");
      expect((await here.online("alice", ENTRY)).rooms).toEqual([]);
    });

    test("an instance that withdraws takes back everything, and nothing of the others", async () => {
      const { here, there } = await two();
      for (const user of ["alice", "bob"]) {
        await here.online(user, ENTRY);
        await here.enter("room", user);
      }
      await there.online("bob", ENTRY);
      await there.enter("room", "bob");
      await here.claim("chosen");
      await here.reserve("alice", "one", LIMIT);
      await here.reserve("alice", "two", LIMIT);
      expect(sorted(await here.withdraw())).toEqual(["leave alice room", "offline alice"]);
      expect(await collect(there.onlineUsers())).toEqual(["bob"]);
      expect(await collect(there.roomUsers("room"))).toEqual(["bob"]);
      expect(await collect(there.userRooms("alice"))).toEqual([]);
      expect(await there.onlineCount()).toBe(1);
      expect(await there.locate("chosen")).toBe(null);
      expect((await there.reserve("alice", "three", LIMIT)).granted).toBe(true);
      expect(await there.offline("bob")).toBe(true);
    });

    test("a watcher is told of all who come and go, on whatever instance, in order", async () => {
      const { here, there } = await two();
      const told: string[] = [];
      let wake = (): void => {};
      const watcher = (of: string): PresenceWatcher => ({
        changed: (user, present) => {
          told.push(`${of} ${present ? "+" : "-"}${user}`);
          wake();
        },
        missed: () => {},
      });
      const until = async (count: number): Promise<void> => {
        while (told.length < count) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      };
      const ends = [
        await there.watch(undefined, watcher("cluster")),
        await there.watch("room", watcher("room")),
      ];
      for (const store of [here, there]) await store.online("alice", ENTRY);
      await until(1);
      for (const store of [here, there]) await store.enter("room", "alice");
      await here.enter("other", "alice");
      await until(2);
      for (const store of [here, there]) await store.exit("room", "alice");
      await until(3);
      for (const store of [here, there]) await store.offline("alice");
      await until(4);
      expect(told).toEqual(["cluster +alice", "room +alice", "room -alice", "cluster -alice"]);
      for (const end of ends) end();
      await here.online("bob", ENTRY);
      await here.enter("room", "bob");
      expect(await there.isOnline("bob")).toBe(true);
      expect(told).toHaveLength(4);
    });

    test("a chosen connection id belongs to who claimed it last", async () => {
      const { here, there } = await two();
      expect(await here.locate("chosen")).toBe(null);
      expect(await here.claim("chosen")).toBe(null);
      expect(await here.claim("chosen")).toBe(null);
      expect(await there.locate("chosen")).toBe("here");
      expect(await there.claim("chosen")).toBe("here");
      expect(await here.locate("chosen")).toBe("there");
      await here.release("chosen");
      expect(await here.locate("chosen")).toBe("there");
      await there.release("chosen");
      expect(await here.locate("chosen")).toBe(null);
    });

    test("a limit holds however many ask at once, on whatever instances", async () => {
      const { here, there } = await two();
      const asked = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          (i % 2 === 0 ? here : there).reserve("alice", `c${i}`, LIMIT),
        ),
      );
      expect(asked.filter(({ granted }) => granted)).toHaveLength(2);
      expect((await here.reserve("bob", "other", LIMIT)).granted).toBe(true);
      const held = asked.flatMap(({ granted }, i) => (granted ? [i] : []));
      const first = held[0] ?? 0;
      await (first % 2 === 0 ? here : there).unreserve("alice", `c${first}`);
      expect((await there.reserve("alice", "again", LIMIT)).granted).toBe(true);
      expect((await here.reserve("alice", "too many", LIMIT)).granted).toBe(false);
    });

    test("one that holds its place keeps it, and the oldest loses its own where they are replaced", async () => {
      const { here, there } = await two();
      const limit = { max: 2, whenFull: "replaceOldest" } as const;
      await here.reserve("alice", "one", limit);
      await there.reserve("alice", "two", limit);
      expect(await here.reserve("alice", "one", limit)).toEqual({ granted: true, replaced: [] });
      expect(await there.reserve("alice", "three", limit)).toEqual({
        granted: true,
        replaced: ["two"],
      });
      expect(await here.reserve("alice", "four", { ...limit, max: 1 })).toEqual({
        granted: true,
        replaced: ["one", "three"],
      });
    });

    test("nobody gives back another's place", async () => {
      const { here, there } = await two();
      for (const id of ["one", "two"]) await here.reserve("alice", id, LIMIT);
      await there.unreserve("alice", "one");
      expect((await there.reserve("alice", "three", LIMIT)).granted).toBe(false);
    });
  });
}
