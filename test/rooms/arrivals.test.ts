import { expect, test } from "vitest";
import type { Backplane } from "../../src/backplane/contract/backplane.ts";
import { memoryBackplane } from "../../src/backplane/memory/memory-backplane.ts";
import { BackplaneUnavailableError } from "../../src/protocol/errors.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { type ManagerServer, startManager } from "../support/manager-server.ts";

const onDispose = useDisposals();

/** A backplane in memory of which the log of one room fails to be read. */
function failing(log: string, makeError: () => Error) {
  const inner = memoryBackplane();
  const state = { reads: 0, isFailing: true };
  const backplane: Backplane = {
    ...inner,
    attach(instance) {
      const attachment = inner.attach(instance);
      const { history } = attachment;
      const tail = history.tail.bind(history);
      history.tail = async (name, limit, maxBytes) => {
        if (name === log) {
          state.reads++;
          if (state.isFailing) throw makeError();
        }
        return tail(name, limit, maxBytes);
      };
      return attachment;
    },
  };
  return { backplane, state };
}

async function start(backplane: Backplane): Promise<ManagerServer> {
  const server = await startManager({ backplane, rooms: { "log:*": { history: {} } } });
  onDispose(server.dispose);
  server.router.public("/v1", { authorize: () => true }, { message: () => {} });
  return server;
}

async function resume(server: ManagerServer, rooms: Record<string, string>): Promise<Client> {
  const client = await Client.connect(`${server.url}/v1`, {}, ["roomcast.v1"]);
  onDispose(() => client.socket.terminate());
  client.send({ type: "resume", rooms });
  return client;
}

test("a room whose log is away holds up no other room of a client that comes back", async () => {
  const { backplane, state } = failing(
    "room:log:away",
    () => new BackplaneUnavailableError("away", "unknown"),
  );
  const server = await start(backplane);
  await server.manager.broadcastToRoom("log:away", "kept");
  await server.manager.broadcastToRoom("log:here", "kept too");
  const client = await resume(server, { "log:away": "0", "log:here": "0", plain: "0" });
  const joined = [await client.nextOfType("joined"), await client.nextOfType("joined")];
  expect(joined.map(({ room }) => room).sort()).toEqual(["log:here", "plain"]);
  await server.manager.broadcastToRoom("plain", "live");
  for (;;) if ((await client.nextOfType("message")).data === "live") break;
  // And it is not a gap: once the log can be read, nothing is missing.
  state.isFailing = false;
  expect(await client.nextOfType("joined")).toMatchObject({ room: "log:away", recovered: true });
  expect((await client.nextOfType("message")).data).toBe("kept");
});

test("a log that nobody can make sense of is told as lost, and not read again and again", async () => {
  const { backplane, state } = failing("room:log:odd", () => new SyntaxError("odd"));
  const server = await start(backplane);
  const errors: unknown[] = [];
  server.manager.on("error", (error) => void errors.push(error));
  await server.manager.broadcastToRoom("log:odd", "kept");
  const client = await resume(server, { "log:odd": "0" });
  expect(await client.nextOfType("joined")).toMatchObject({ room: "log:odd", recovered: false });
  await server.manager.broadcastToRoom("log:odd", "live");
  expect((await client.nextOfType("message")).data).toBe("live");
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(state.reads).toBeLessThan(5);
  expect(errors.length).toBeLessThan(5);
});

test("many who come back to one place are sent the same bytes", async () => {
  const server = await start(memoryBackplane());
  for (let i = 0; i < 50; i++) await server.manager.broadcastToRoom("log:a", `message ${i}`);
  const clients = await Promise.all(
    Array.from({ length: 20 }, () => resume(server, { "log:a": "0" })),
  );
  const told: string[][] = [];
  for (const client of clients) {
    const frames: string[] = [];
    while (frames.length < 51) {
      const frame = String(await client.next());
      if (!frame.includes("welcome")) frames.push(frame);
    }
    told.push(frames);
  }
  for (const frames of told) expect(frames).toEqual(told[0]);
});

test("what a client sends to a room right behind its join comes to itself too", async () => {
  const server = await startManager({ rooms: { "log:*": { history: {} } } });
  onDispose(server.dispose);
  server.router.public(
    "/say",
    { authorize: () => true },
    {
      message: (_connection, text) => {
        void server.manager.broadcastToRoom("log:own", String(text));
      },
    },
  );
  for (let i = 0; i < 20; i++) {
    const client = await Client.connect(`${server.url}/say`, {}, ["roomcast.v1"]);
    // In one packet, as a client sends what was typed while it was away.
    client.send({ type: "resume", rooms: { "log:own": true } });
    client.send({ type: "message", data: `hello ${i}` });
    await client.nextOfType("joined");
    expect((await client.nextOfType("message")).data).toBe(`hello ${i}`);
    client.socket.terminate();
    await expect.poll(() => server.manager.count({ room: "log:own" })).toBe(0);
  }
});

test("a client is let into every room that was ready before it had said where it stands", async () => {
  const server = await start(memoryBackplane());
  const rooms = Array.from({ length: 30 }, (_, i) => (i % 2 === 0 ? `plain:${i}` : `log:${i}`));
  const client = await Client.connect(`${server.url}/v1`, {}, ["roomcast.v1"]);
  onDispose(() => client.socket.terminate());
  client.send({
    type: "resume",
    rooms: Object.fromEntries(rooms.map((room) => [room, true])),
    more: true,
  });
  for (const room of rooms) {
    await expect.poll(() => server.manager.count({ room })).toBe(1);
  }
  client.send({ type: "resume", rooms: {} });
  const joined: unknown[] = [];
  while (joined.length < rooms.length) joined.push((await client.nextOfType("joined")).room);
  expect(joined.sort()).toEqual([...rooms].sort());
});
