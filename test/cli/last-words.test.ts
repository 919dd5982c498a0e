import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { clientFrame, handshake, RawClient } from "../support/raw-handshake.ts";
import { repositoryRoot } from "../support/repository.ts";
import { type ServeProcess, startServe } from "../support/serve.ts";

const onDispose = useDisposals();
const TIMES = 20;

async function serve(): Promise<ServeProcess> {
  const server = await startServe({ env: { ROOMCAST_RATE_LIMIT: "none" } });
  onDispose(server.dispose);
  return server;
}

/** Somebody in the room, and what was said there by others. */
async function listen({ wsUrl }: ServeProcess): Promise<(count: number) => Promise<unknown[]>> {
  const client = await Client.connect(`${wsUrl}/ws?user=listener`);
  client.send({ type: "join", room: "lobby" });
  await client.nextOfType("joined");
  return async (count) => {
    const heard: unknown[] = [];
    while (heard.length < count) heard.push((await client.nextOfType("message")).data);
    return heard;
  };
}

const say = (data: unknown) => JSON.stringify({ type: "room_message", room: "lobby", data });
const JOIN = JSON.stringify({ type: "join", room: "lobby" });

const pairs = Array.from({ length: TIMES }, (_, i) => [`${i} a`, `${i} b`]);

test("what a client of ws sent before it closed is handled, in order, with its joins", async () => {
  const server = await serve();
  const heard = await listen(server);
  for (const [first, second] of pairs) {
    const client = new WebSocket(`${server.wsUrl}/ws`);
    await once(client, "open");
    for (const message of [JOIN, say(first), say(second)]) client.send(message);
    client.close();
    await once(client, "close");
  }
  expect(await heard(2 * TIMES)).toEqual(pairs.flat());
});

test("also what came in one piece with the handshake and the close", async () => {
  const server = await serve();
  const heard = await listen(server);
  for (const [first, second] of pairs) {
    const client = await RawClient.connect(server.port);
    const frames = [JOIN, say(first), say(second)].map((text) => clientFrame(1, text));
    const close = clientFrame(8, Buffer.from([0x03, 0xe8]));
    const host = { Host: `localhost:${server.port}` };
    client.write(Buffer.concat([Buffer.from(handshake("/ws", host)), ...frames, close]));
    expect((await client.answer())?.status).toBe(101);
    client.dispose();
  }
  expect((await heard(2 * TIMES)).toSorted()).toEqual(pairs.flat().toSorted());
});

test("also more than may wait at once", async () => {
  const server = await serve();
  const heard = await listen(server);
  const client = await Client.connect(`${server.wsUrl}/ws`);
  const said = Array.from({ length: 300 }, (_, i) => i);
  client.send(JOIN);
  for (const data of said) client.send(say(data));
  await client.close();
  expect(await heard(said.length)).toEqual(said);
});

test("also with roomcast.v1, whose rooms are asked for by frames", async () => {
  const server = await serve();
  const heard = await listen(server);
  for (const [first, second] of pairs) {
    const client = await Client.connect(`${server.wsUrl}/ws`, {}, ["roomcast.v1"]);
    client.send({ type: "join", room: "lobby" });
    client.send({ type: "message", data: JSON.parse(say(first)) });
    client.send({ type: "message", id: "1", data: JSON.parse(say(second)) });
    await client.close();
  }
  expect(await heard(2 * TIMES)).toEqual(pairs.flat());
});

test("what was left before the close is left: nothing is said there any more", async () => {
  const server = await serve();
  const heard = await listen(server);
  const client = await Client.connect(`${server.wsUrl}/ws`);
  const leave = JSON.stringify({ type: "leave", room: "lobby" });
  for (const message of [JOIN, say("in"), leave, say("out"), JOIN, say("in again")]) {
    client.send(message);
  }
  await client.close();
  expect(await heard(2)).toEqual(["in", "in again"]);
});

test("roomcast send says what it sends", async () => {
  const server = await serve();
  const heard = await listen(server);
  const main = join(repositoryRoot, "dist/cli/main.js");
  for (const [first] of pairs.slice(0, 5)) {
    const args = [main, "send", `${server.wsUrl}/ws`, JOIN, say(first)];
    const child = spawn(process.execPath, args, { stdio: "inherit" });
    const [code] = await once(child, "exit");
    expect(code).toBe(0);
  }
  expect(await heard(5)).toEqual(pairs.slice(0, 5).map(([first]) => first));
});
