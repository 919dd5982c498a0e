import { expect, test } from "vitest";
import { memoryBackplane } from "../../src/backplane/memory/memory-backplane.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { startManager } from "../support/manager-server.ts";

const onDispose = useDisposals();

async function connect(url: string): Promise<Client> {
  const client = await Client.connect(url, {}, ["roomcast.v1"]);
  onDispose(() => client.socket.terminate());
  return client;
}

test("what a client sends right after its resume is handled when it is in its rooms", async () => {
  const server = await startManager({ rooms: { "chat:*": { history: {} } } });
  onDispose(server.dispose);
  const log: string[] = [];
  server.router.public(
    "/v1",
    {
      authorize: async (_connection, room) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        log.push(`authorized ${room}`);
        return true;
      },
    },
    {
      message: (connection, text) => {
        log.push(`${text} in ${[...connection.rooms].sort().join()}`);
      },
    },
  );
  const client = await connect(`${server.url}/v1`);
  client.send({ type: "resume", rooms: { "chat:a": "0", "chat:b": "0" } });
  client.send({ type: "message", data: "typed while away" });
  client.send({ type: "message", id: "1", data: "and this" });
  await client.nextOfType("ack");
  expect(log).toEqual([
    "authorized chat:a",
    "authorized chat:b",
    "typed while away in chat:a,chat:b",
    "and this in chat:a,chat:b",
  ]);
});

test("a message over the limit is refused with its id, and resume and auth are never dropped", async () => {
  const server = await startManager({ limits: { messagesPerSecond: 5, messageBurst: 2 } });
  onDispose(server.dispose);
  server.router.public("/v1", { authorize: () => true }, { message: () => "done" });
  const client = await connect(`${server.url}/v1`);
  for (let i = 0; i < 4; i++) client.send({ type: "message", id: `${i}`, data: i });
  client.send({ type: "resume", rooms: { lobby: "0" } });
  client.send({ type: "auth", token: "some" });
  const answers: unknown[] = [];
  while (answers.length < 7) {
    const { type, id, code, room } = await client.nextJson();
    answers.push([type, id ?? code ?? room, code]);
  }
  expect(answers[0]).toEqual(["welcome", undefined, undefined]);
  expect(answers).toContainEqual(["ack", "0", undefined]);
  expect(answers).toContainEqual(["ack", "1", undefined]);
  expect(answers).toContainEqual(["error", "2", "rate_limited"]);
  expect(answers).toContainEqual(["error", "3", "rate_limited"]);
  expect(answers).toContainEqual(["joined", "lobby", undefined]);
  expect(answers).toContainEqual(["error", "auth_failed", "auth_failed"]);
});

test("ids of messages are a client's own where nobody knows who it is, and go with what it resumes", async () => {
  const backplane = memoryBackplane();
  const handled: string[] = [];
  const start = async () => {
    const server = await startManager({ backplane });
    onDispose(server.dispose);
    server.router.public("/v1", { message: (_connection, text) => handled.push(String(text)) });
    return `${server.url}/v1`;
  };
  const [here, there] = [await start(), await start()];
  const [ann, ben] = [await connect(here), await connect(there)];
  const { connection } = await ann.nextOfType("welcome");
  const message = (data: string) => ({ type: "message", id: "same", data });
  ann.send(message("of ann"));
  ben.send(message("of ben"));
  for (const client of [ann, ben]) await client.nextOfType("ack");
  ann.socket.terminate();
  const back = await connect(there);
  back.send({ type: "resume", rooms: {}, connection });
  back.send(message("of ann"));
  await back.nextOfType("ack");
  expect(handled).toEqual(["of ann", "of ben"]);
});

test("a token that allows less takes its client out of the rooms it may not be in any more", async () => {
  const server = await startManager({
    router: {
      authenticate: (_request, { token }) => {
        const claims = { rooms: token?.split(",") };
        return { id: "ann", scopes: [], claims, via: "test" };
      },
    },
  });
  onDispose(server.dispose);
  server.router.protected(
    "/v1",
    {
      authorize: ({ principal }, room) => {
        const { rooms } = principal?.claims ?? {};
        return Array.isArray(rooms) && rooms.includes(room);
      },
    },
    { message: () => {} },
  );
  const client = await connect(`${server.url}/v1?token=a,b`);
  client.send({ type: "resume", rooms: { a: "0", b: "0" } });
  await client.nextOfType("joined");
  await client.nextOfType("joined");
  client.send({ type: "auth", token: "b" });
  expect((await client.nextOfType("error")).code).toBe("forbidden");
  expect(await client.nextOfType("left")).toEqual({ type: "left", room: "a" });
  expect(server.manager.activeRooms).toEqual(["b"]);
});

test("no frame ends the process, whatever its fields are", async () => {
  const server = await startManager();
  onDispose(server.dispose);
  const errors: unknown[] = [];
  server.manager.on("error", (error) => void errors.push(error));
  server.router.public("/v1", { message: () => {} });
  const evil = { toString: 1, valueOf: 1 };
  const frames = [evil, [], null, 1e300, "text", { length: -1 }].flatMap((value) => [
    { type: value },
    { type: "message", data: value, id: value },
    { type: "resume", rooms: value },
    { type: "resume", rooms: { a: value }, connection: value },
    { type: "auth", token: value },
    { type: "ping", t: value },
  ]);
  for (const frame of frames) {
    const client = await connect(`${server.url}/v1`);
    client.send(frame);
    client.send({ type: "ping", t: "still here" });
    expect(await client.nextOfType("pong")).toBeDefined();
    client.socket.terminate();
  }
  expect(errors).toEqual([]);
});
