import { once } from "node:events";
import { expect, test } from "vitest";
import type { Attachment, Backplane } from "../../src/backplane/contract/backplane.ts";
import { memoryBackplane } from "../../src/backplane/memory/memory-backplane.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { foreignSocket } from "../support/foreign-socket.ts";
import { startManager } from "../support/manager-server.ts";

const onDispose = useDisposals();

/** A backplane in memory that counts the channels of rooms that are subscribed to. */
function counting(): { backplane: Backplane; rooms: Set<string> } {
  const inner = memoryBackplane();
  const rooms = new Set<string>();
  return {
    rooms,
    backplane: {
      ...inner,
      attach(instance) {
        const attachment: Attachment = inner.attach(instance);
        const { broker } = attachment;
        const subscribe = broker.subscribe.bind(broker);
        const unsubscribe = broker.unsubscribe.bind(broker);
        broker.subscribe = (channel) => {
          if (channel.startsWith("room:")) rooms.add(channel);
          return subscribe(channel);
        };
        broker.unsubscribe = (channel) => {
          rooms.delete(channel);
          unsubscribe(channel);
        };
        return attachment;
      },
    },
  };
}

test("joining after the connection has gone changes nothing, here and in the cluster", async () => {
  const { backplane, rooms } = counting();
  const server = await startManager({ backplane, rooms: { "log:*": { history: {} } } });
  onDispose(server.dispose);
  const { client, connection } = await server.connect("alice");
  await client.close();
  await expect.poll(() => connection.state).toBe("closed");
  for (let i = 0; i < 100; i++) {
    expect(await connection.join(`log:${i}`)).toBe(false);
    expect(await connection.join(`plain:${i}`)).toBe(false);
    expect(await server.manager.joinRoom(connection, `other:${i}`)).toBe(false);
  }
  expect([...rooms]).toEqual([]);
  expect(server.manager.activeRooms).toEqual([]);
  expect([...connection.rooms]).toEqual([]);
  const users: string[] = [];
  for await (const user of server.manager.presence.roomUsers("log:1")) users.push(user);
  expect(users).toEqual([]);
});

test("a connection that goes while its room is being subscribed to leaves nothing behind", async () => {
  const { backplane, rooms } = counting();
  const server = await startManager({ backplane, rooms: { "log:*": { history: {} } } });
  onDispose(server.dispose);
  const { client, connection } = await server.connect("alice");
  const joining = ["log:a", "plain:a"].map((room) => connection.join(room));
  client.socket.terminate();
  connection.close();
  await Promise.all(joining);
  await expect.poll(() => connection.state).toBe("closed");
  await expect.poll(() => [...rooms]).toEqual([]);
});

test("who is replaced under its own id takes nothing from the one that replaced it", async () => {
  const server = await startManager({ limits: { maxConnectionsPerUser: 1 } });
  onDispose(server.dispose);
  const other = await startManager({ backplane: memoryBackplane() });
  onDispose(other.dispose);
  const { manager } = server;
  const [first, second] = [await foreignSocket(), await foreignSocket()];
  for (const { dispose } of [first, second]) onDispose(dispose);
  // The one that is replaced does not answer the close for a while.
  first.client.socket.pause();
  const old = manager.connect(first.socket, { id: "device", userId: "alice" });
  const current = manager.connect(second.socket, { id: "device", userId: "alice" });
  await manager.send("device", "to the new one");
  expect(await second.client.next()).toBe("to the new one");
  const ended = once(first.socket, "close");
  first.client.socket.resume();
  await ended;
  await expect.poll(() => old.state).toBe("closed");
  await manager.send("device", "still there");
  expect(await second.client.next()).toBe("still there");
  expect(manager.userConnections("alice")).toEqual([current]);
  expect(await manager.presence.isOnline("alice")).toBe(true);
  // Its place is taken: there is one for alice, and that is hers.
  const third = await Client.connect(`${server.url}/?user=alice`);
  expect((await third.closed()).code).toBe(4008);
  expect(current.state).toBe("open");
});

test("everybody who joins a room at once is in it when their join resolves", async () => {
  const server = await startManager({ rooms: { "log:*": { history: {} } } });
  onDispose(server.dispose);
  const members = await Promise.all(["a", "b", "c"].map((user) => server.connect(user)));
  await Promise.all(members.map(({ connection }) => connection.join("log:all")));
  await server.manager.broadcastToRoom("log:all", "hello");
  for (const { client } of members) expect(await client.next()).toBe("hello");
});
