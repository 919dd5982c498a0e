import assert from "node:assert/strict";
import type { PresenceWatcher, Transition } from "../backplane/contract/presence-store.ts";
import type { Cases } from "./contract.ts";
import { PLACES } from "./places-contract.ts";
import { LIMIT, two } from "./presence-fixtures.ts";

const ENTRY = { connectedAt: 1_700_000_000_000, metadata: { device: "phone", é: [1, null] } };

async function collect(list: AsyncIterable<string>): Promise<string[]> {
  const items: string[] = [];
  for await (const item of list) items.push(item);
  return items.sort();
}

function sorted(transitions: readonly Transition[]): string[] {
  return transitions.map(({ type, user, room = "" }) => `${type} ${user} ${room}`.trim()).sort();
}

/** What every `PresenceStore` must do. */
export const PRESENCE: Cases = {
  "a user comes online with the first instance and goes offline with the last": async (join) => {
    const { here, there } = await two(join);
    assert.equal(await here.isOnline("alice"), false);
    const arrival = await here.online("alice", ENTRY);
    assert.equal(arrival.first, true);
    assert.deepEqual(arrival.rooms, []);
    assert.equal((await there.online("alice", ENTRY)).first, false);
    assert.equal(await here.offline("alice"), false);
    assert.equal(await there.isOnline("alice"), true);
    assert.equal(await there.offline("alice"), true);
    assert.equal(await here.isOnline("alice"), false);
  },

  "what is known of a user is answered as it was given, for each instance": async (join) => {
    const { here, there } = await two(join);
    await here.online("alice", ENTRY);
    await there.online("alice", { connectedAt: 1, metadata: {} });
    const { online, instances } = await there.get("alice");
    assert.equal(online, true);
    assert.deepEqual(
      [...instances].sort((a, b) => b.connectedAt - a.connectedAt),
      [
        { instance: "here", ...ENTRY },
        { instance: "there", connectedAt: 1, metadata: {} },
      ],
    );
    assert.deepEqual(await there.get("bob"), { online: false, instances: [] });
  },

  "writes may be repeated": async (join) => {
    const { here, there } = await two(join);
    assert.equal((await here.online("alice", ENTRY)).first, true);
    assert.equal((await here.online("alice", ENTRY)).first, false);
    assert.equal(await there.offline("alice"), false);
    assert.equal(await here.offline("alice"), true);
    assert.equal(await here.offline("alice"), false);
    assert.equal(await here.exit("room", "alice"), false);
  },

  "a user is in a room from the first instance to the last": async (join) => {
    const { here, there } = await two(join);
    for (const store of [here, there]) await store.online("alice", ENTRY);
    assert.equal(await here.enter("room", "alice"), true);
    assert.equal(await there.enter("room", "alice"), false);
    assert.deepEqual(await collect(there.roomUsers("room")), ["alice"]);
    assert.equal(await there.roomUserCount("room"), 1);
    assert.equal(await here.exit("room", "alice"), false);
    assert.deepEqual(await collect(here.roomUsers("room")), ["alice"]);
    assert.equal(await there.exit("room", "alice"), true);
    assert.deepEqual(await collect(there.roomUsers("room")), []);
    assert.equal(await there.roomUserCount("room"), 0);
  },

  "the rooms of a user are those of all instances, each once": async (join) => {
    const { here, there } = await two(join);
    for (const room of ["a", "b", "room:online"]) await here.enter(room, "alice");
    for (const room of ["b", "c"]) await there.enter(room, "alice");
    await there.enter("other", "bob");
    assert.deepEqual(await collect(here.userRooms("alice")), ["a", "b", "c", "room:online"]);
    await here.exit("a", "alice");
    await here.exit("b", "alice");
    assert.deepEqual(await collect(there.userRooms("alice")), ["b", "c", "room:online"]);
    assert.deepEqual(await collect(there.userRooms("nobody")), []);
  },

  "everyone online is listed and counted once": async (join) => {
    const { here, there } = await two(join);
    const users = Array.from({ length: 1500 }, (_, i) => `user ${i}`);
    await Promise.all(users.map((user) => here.online(user, ENTRY)));
    await Promise.all(users.slice(0, 700).map((user) => there.online(user, ENTRY)));
    await there.online("zoe", ENTRY);
    assert.deepEqual(await collect(here.onlineUsers()), [...users, "zoe"].sort());
    assert.equal(await there.onlineCount(), 1501);
  },

  "of many instances that ask at once exactly one is told that it was the first, or the last":
    async (join) => {
      const members = await Promise.all(["a", "b", "c", "d"].map(join));
      const stores = members.map(({ presence }) => presence);
      for (let round = 0; round < 10; round++) {
        const firsts = await Promise.all(stores.map((store) => store.online("alice", ENTRY)));
        assert.equal(firsts.filter(({ first }) => first).length, 1);
        const enters = await Promise.all(stores.map((store) => store.enter("room", "alice")));
        assert.equal(enters.filter(Boolean).length, 1);
        const exits = await Promise.all(stores.map((store) => store.exit("room", "alice")));
        assert.equal(exits.filter(Boolean).length, 1);
        const lasts = await Promise.all(stores.map((store) => store.offline("alice")));
        assert.equal(lasts.filter(Boolean).length, 1);
      }
    },

  "rooms joined as a user are told to every instance that gets them, until they are offline":
    async (join) => {
      const { here, there } = await two(join);
      const offline = await there.joinAsUser("alice", "vip");
      assert.deepEqual([offline.changed, offline.holders], [false, 0]);
      await here.online("alice", ENTRY);
      const online = await there.joinAsUser("alice", "vip");
      assert.deepEqual([online.changed, online.holders], [true, 1]);
      assert.equal((await here.joinAsUser("alice", "vip")).changed, false);
      assert.equal((await here.joinAsUser("alice", "club")).changed, true);
      const { rooms } = await there.online("alice", ENTRY);
      assert.deepEqual([...rooms].sort(), ["club", "vip"]);
      const left = await here.leaveAsUser("alice", "club");
      assert.deepEqual([left.changed, left.holders], [true, 2]);
      assert.equal((await there.leaveAsUser("alice", "club")).changed, false);
      await here.offline("alice");
      assert.deepEqual((await here.online("alice", ENTRY)).rooms, ["vip"]);
      await here.offline("alice");
      await there.offline("alice");
      assert.deepEqual((await here.online("alice", ENTRY)).rooms, []);
    },

  "of many who ask at once for the same change of a user's rooms, one is told that it changed something":
    async (join) => {
      const { here, there } = await two(join);
      await here.online("alice", ENTRY);
      for (const change of ["joinAsUser", "leaveAsUser"] as const) {
        const changes = await Promise.all(
          [here, there, here, here].map((store) => store[change]("alice", "vip")),
        );
        assert.equal(changes.filter(({ changed }) => changed).length, 1);
      }
    },

  "the instances of the cluster are those that are there": async (join) => {
    const [here, there] = [await join("here"), await join("there")];
    assert.deepEqual([...(await here.presence.instances())].sort(), ["here", "there"]);
    await there.presence.withdraw();
    await there.stop();
    assert.deepEqual(await here.presence.instances(), ["here"]);
  },

  "changes of the rooms joined as a user have rising versions, also after the user was offline":
    async (join) => {
      const { here, there } = await two(join);
      const versions: number[] = [];
      for (let round = 0; round < 2; round++) {
        await here.online("alice", ENTRY);
        for (const store of [here, there]) {
          const joined = await store.joinAsUser("alice", "vip");
          const again = await store.joinAsUser("alice", "vip");
          assert.ok(again.version >= joined.version);
          const arrival = await there.online("alice", ENTRY);
          assert.equal(arrival.version, again.version);
          const left = await store.leaveAsUser("alice", "vip");
          versions.push(joined.version, left.version);
        }
        for (const store of [here, there]) await store.offline("alice");
      }
      assert.deepEqual(
        versions,
        [...new Set(versions)].sort((a, b) => a - b),
      );
    },

  "an instance that withdraws takes back everything, and nothing of the others": async (join) => {
    const { here, there } = await two(join);
    for (const user of ["alice", "bob"]) {
      await here.online(user, ENTRY);
      await here.enter("room", user);
    }
    await there.online("bob", ENTRY);
    await there.enter("room", "bob");
    await here.claim("chosen");
    await here.reserve("alice", "one", LIMIT);
    await here.reserve("alice", "two", LIMIT);
    assert.deepEqual(sorted(await here.withdraw()), ["leave alice room", "offline alice"]);
    assert.deepEqual(await collect(there.onlineUsers()), ["bob"]);
    assert.deepEqual(await collect(there.roomUsers("room")), ["bob"]);
    assert.deepEqual(await collect(there.userRooms("alice")), []);
    assert.equal(await there.onlineCount(), 1);
    assert.equal(await there.locate("chosen"), null);
    assert.equal((await there.reserve("alice", "three", LIMIT)).granted, true);
    assert.equal(await there.offline("bob"), true);
  },

  "those in grace stay when their instance withdraws; who is not back is told gone once, by another":
    async (join) => {
      const [here, there, other] = [await join("here"), await join("there"), await join("other")];
      const users = ["back", "gone", "normal"];
      for (const user of users) {
        await here.presence.online(user, ENTRY);
        await here.presence.enter("room", user);
      }
      await here.presence.joinAsUser("back", "vip");
      await here.presence.claim("chosen");
      await here.presence.reserve("gone", "one", { ...LIMIT, max: 1 });
      const graces = ["back", "gone"].flatMap((user) => [
        { user, leftMs: 1500 },
        { user, room: "room", leftMs: 1500 },
      ]);
      const made = await here.presence.withdraw(graces);
      assert.deepEqual(sorted(made), ["leave normal room", "offline normal"]);
      await here.stop();
      const { presence } = there;
      assert.deepEqual(await collect(presence.onlineUsers()), ["back", "gone"]);
      assert.deepEqual(await collect(presence.roomUsers("room")), ["back", "gone"]);
      assert.deepEqual(await collect(presence.userRooms("gone")), ["room"]);
      assert.equal(await presence.locate("chosen"), null);
      assert.equal((await presence.reserve("gone", "two", { ...LIMIT, max: 1 })).granted, true);
      const { first, rooms } = await presence.online("back", ENTRY);
      assert.deepEqual({ first, rooms }, { first: false, rooms: ["vip"] });
      assert.equal(await presence.enter("room", "back"), false);
      const told = (): Transition[] => [...there.recorder.raised, ...other.recorder.raised];
      const all = (): boolean => told().length >= 2;
      await Promise.race([there.recorder.until(all), other.recorder.until(all)]);
      assert.deepEqual(sorted(told()), ["leave gone room", "offline gone"]);
      assert.deepEqual(await collect(presence.onlineUsers()), ["back"]);
      assert.deepEqual(await collect(presence.roomUsers("room")), ["back"]);
      assert.deepEqual((await presence.online("back", ENTRY)).rooms, ["vip"]);
      // Nobody holds them but the one they came back to.
      assert.equal(await presence.exit("room", "back"), true);
      assert.equal(await presence.offline("back"), true);
      assert.deepEqual(sorted(told()), ["leave gone room", "offline gone"]);
      assert.deepEqual(here.recorder.raised, []);
    },

  "an instance that comes again under its id has nothing to do with those it left in grace": async (
    join,
  ) => {
    const [first, there] = [await join("here"), await join("there")];
    await first.presence.online("alice", ENTRY);
    await first.presence.enter("room", "alice");
    const graces = [
      { user: "alice", leftMs: 500 },
      { user: "alice", room: "room", leftMs: 500 },
      { user: "nobody", leftMs: 500 },
    ];
    assert.deepEqual(await first.presence.withdraw(graces), []);
    await first.stop();
    const again = await join("here");
    assert.equal((await again.presence.online("alice", ENTRY)).first, false);
    await there.presence.online("bob", ENTRY);
    assert.deepEqual(await there.presence.withdraw([{ user: "bob", leftMs: 500 }]), []);
    await there.stop();
    const { recorder } = again;
    await recorder.until(() => recorder.raised.length >= 2);
    assert.deepEqual(sorted(recorder.raised), ["leave alice room", "offline bob"]);
    assert.equal(await again.presence.isOnline("alice"), true);
    assert.equal(await again.presence.offline("alice"), true);
  },

  "a watcher is told of all who come and go, on whatever instance, in order": async (join) => {
    const { here, there } = await two(join);
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
    assert.deepEqual(told, ["cluster +alice", "room +alice", "room -alice", "cluster -alice"]);
    for (const end of ends) end();
    await here.online("bob", ENTRY);
    await here.enter("room", "bob");
    assert.equal(await there.isOnline("bob"), true);
    assert.equal(told.length, 4);
  },

  ...PLACES,
};
