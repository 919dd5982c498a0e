import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { type Backplane, memoryBackplane, type PresenceChange } from "../../src/index.ts";
import { useDisposals } from "../support/disposals.ts";
import { type ManagerServer, startManager } from "../support/manager-server.ts";

const onDispose = useDisposals();
const END = { done: true, value: undefined };

async function start(): Promise<ManagerServer> {
  const started = await startManager({ backplane: memoryBackplane() });
  onDispose(started.dispose);
  return started;
}

/** A watch that has told its snapshot, so that there is nothing to tell. */
async function quiet(
  { manager }: ManagerServer,
  signal?: AbortSignal,
): Promise<AsyncIterableIterator<PresenceChange>> {
  const watch = manager.presence.watch("room", signal && { signal });
  expect(await watch.next()).toEqual({
    done: false,
    value: { type: "snapshot", users: [] },
  });
  return watch;
}

describe("a watch on which nothing happens", () => {
  test("ends at once by return, for everybody who waits", async () => {
    const watch = await quiet(await start());
    const waiting = [watch.next(), watch.next()];
    expect(await watch.return?.()).toEqual(END);
    expect(await Promise.all(waiting)).toEqual([END, END]);
    expect(await watch.next()).toEqual(END);
  });

  test("ends at once when its signal aborts, and keeps no hold of it", async () => {
    const giveUp = new AbortController();
    const watch = await quiet(await start(), giveUp.signal);
    const waiting = watch.next();
    expect(getEventListeners(giveUp.signal, "abort")).toHaveLength(1);
    giveUp.abort();
    expect(await waiting).toEqual(END);
    expect(await watch.next()).toEqual(END);
    expect(getEventListeners(giveUp.signal, "abort")).toEqual([]);
  });

  test("ends a loop over it without an error when its signal aborts", async () => {
    const { manager } = await start();
    const giveUp = new AbortController();
    const seen: PresenceChange[] = [];
    for await (const change of manager.presence.watch("room", { signal: giveUp.signal })) {
      seen.push(change);
      setImmediate(() => giveUp.abort());
    }
    expect(seen).toEqual([{ type: "snapshot", users: [] }]);
  });

  test("ends with its manager, and keeps no hold of its signal", async () => {
    const server = await start();
    const { signal } = new AbortController();
    const watch = await quiet(server, signal);
    const waiting = watch.next();
    await server.manager.stop();
    expect(await waiting).toEqual(END);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});

test("a watch whose signal has aborted, or that was ended before it began, tells nothing", async () => {
  const { manager } = await start();
  expect(await manager.presence.watch("room", { signal: AbortSignal.abort() }).next()).toEqual(END);
  const watch = manager.presence.watch();
  await watch.return?.();
  expect(await watch.next()).toEqual(END);
});

test("many who wait for one watch are told one change each, in order", async () => {
  const server = await start();
  const watch = await quiet(server);
  const waiting = [watch.next(), watch.next()];
  const { connection } = await server.connect("alice");
  await connection.join("room");
  expect((await waiting[0])?.value).toEqual({ type: "join", user: "alice", room: "room" });
  await connection.leave("room");
  expect((await waiting[1])?.value).toEqual({ type: "leave", user: "alice", room: "room" });
});

test("a watch that has ended is told nothing by the backplane any more, however it ended", async () => {
  const backplane = memoryBackplane();
  let open = 0;
  const counting: Backplane = {
    ...backplane,
    attach: (instance) => {
      const attachment = backplane.attach(instance);
      const { presence } = attachment;
      const watch = presence.watch.bind(presence);
      presence.watch = async (room, watcher) => {
        const end = await watch(room, watcher);
        open++;
        return () => {
          open--;
          end();
        };
      };
      return attachment;
    },
  };
  const server = await startManager({ backplane: counting });
  onDispose(server.dispose);
  const giveUp = new AbortController();
  const returned = await quiet(server);
  // Those of one room are one to the backplane.
  await quiet(server, giveUp.signal);
  const online = server.manager.presence.watch();
  await online.next();
  expect(open).toBe(2);
  await returned.return?.();
  await online.return?.();
  await expect.poll(() => open).toBe(1);
  giveUp.abort();
  await expect.poll(() => open).toBe(0);
  await quiet(server);
  expect(open).toBe(1);
  // Ended before it had begun.
  const early = server.manager.presence.watch("room");
  const waiting = early.next();
  await early.return?.();
  expect(await waiting).toEqual(END);
  await server.manager.stop();
  await expect.poll(() => open).toBe(0);
});

test("many who watch a room are told the same, each at its own pace, of one list", async () => {
  const backplane = memoryBackplane();
  let lists = 0;
  const counting: Backplane = {
    ...backplane,
    attach: (instance) => {
      const attachment = backplane.attach(instance);
      const { presence } = attachment;
      const roomUsers = presence.roomUsers.bind(presence);
      presence.roomUsers = (room) => {
        lists++;
        return roomUsers(room);
      };
      return attachment;
    },
  };
  const server = await startManager({ backplane: counting });
  onDispose(server.dispose);
  const { connection } = await server.connect("alice");
  const watches = [];
  for (let i = 0; i < 50; i++) watches.push(await quiet(server));
  await connection.join("room");
  const [slow, ...fast] = watches;
  for (const watch of fast) {
    expect((await watch.next()).value).toEqual({ type: "join", user: "alice", room: "room" });
  }
  const late = server.manager.presence.watch("room");
  expect((await late.next()).value).toEqual({ type: "snapshot", users: ["alice"] });
  await connection.leave("room");
  const bob = await server.connect("bob");
  await bob.connection.join("room");
  for (const watch of [...fast, late]) {
    expect((await watch.next()).value).toEqual({ type: "leave", user: "alice", room: "room" });
    expect((await watch.next()).value).toEqual({ type: "join", user: "bob", room: "room" });
  }
  // What came and went meanwhile is nothing new to one that reads only now.
  expect((await slow?.next())?.value).toEqual({ type: "join", user: "bob", room: "room" });
  expect(lists).toBe(1);
});

test("wrong options of a watch are named", async () => {
  const { presence } = (await start()).manager;
  const wrong: unknown[] = [{ singal: null }, { signal: "now" }, null];
  for (const options of wrong) {
    expect(() => Reflect.apply(presence.watch, presence, ["room", options])).toThrow(TypeError);
  }
  const watch = presence.watch("{");
  await expect(watch.next()).rejects.toThrow(RangeError);
  expect(await watch.next()).toEqual(END);
});
