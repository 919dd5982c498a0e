import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { WebSocketClient } from "../../src/client.ts";
import { MessageRefusedError, type WebSocketError } from "../../src/index.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { startManager } from "../support/manager-server.ts";
import { repositoryRoot } from "../support/repository.ts";
import { type ServeProcess, startServe } from "../support/serve.ts";

const onDispose = useDisposals();

async function serve(): Promise<ServeProcess> {
  const server = await startServe();
  onDispose(server.dispose);
  return server;
}

async function connect(url: string): Promise<WebSocketClient> {
  const client = new WebSocketClient(url, { subprotocols: ["roomcast.v1"] });
  onDispose(() => client.close());
  client.on("message", () => {});
  await client.connect();
  return client;
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    (answer) => `resolved with ${JSON.stringify(answer)}`,
    (error: WebSocketError) => error.code,
  );

describe("a request to serve resolves when it was done, and not otherwise", () => {
  test.each([
    ["a room one is not in", { type: "room_message", room: "lobby", data: 1 }, "not_a_member"],
    ["the history of one", { type: "history", room: "lobby" }, "not_a_member"],
    ["a type that there is not", { type: "nope" }, "unknown_type"],
    ["no type", {}, "unknown_type"],
    ["no object", 1, "bad_message"],
    ["text that is no JSON", "not json", "bad_json"],
    ["bytes", new Uint8Array([1]), "unsupported_data"],
    ["a field that is missing", { type: "join" }, "bad_field"],
  ])("%s", async (_name, message, code) => {
    const client = await connect(`${(await serve()).wsUrl}/ws`);
    expect(await codeOf(client.request(message))).toBe(code);
    // It is of no consequence for what comes after.
    expect(await client.request({ type: "ping" })).toBeUndefined();
  });

  test("and tells nothing of whom it reached", async () => {
    const client = await connect(`${(await serve()).wsUrl}/ws?user=alice`);
    for (const message of [
      { type: "join", room: "lobby" },
      { type: "room_message", room: "lobby", data: 1 },
      { type: "broadcast", data: 1 },
      { type: "direct_message", to: "alice", data: 1 },
      { type: "leave", room: "lobby" },
    ]) {
      expect(await client.request(message)).toBeUndefined();
    }
  });

  test("a position that is none is refused too", async () => {
    const client = await connect(`${(await serve()).wsUrl}/ws`);
    await client.request({ type: "join", room: "lobby" });
    const since = "no position";
    expect(await codeOf(client.request({ type: "history", room: "lobby", since }))).toBe(
      "bad_position",
    );
  });
});

test("send --ack ends with 1 and says why, when a message was refused", async () => {
  const { wsUrl } = await serve();
  const send = (...messages: string[]) => {
    const main = join(repositoryRoot, "dist/cli/main.js");
    const args = [main, "send", `${wsUrl}/ws`, ...messages, "--ack"];
    return spawnSync(process.execPath, args, { encoding: "utf8", timeout: 60_000 });
  };
  const refused = send("not json");
  expect(refused.status).toBe(1);
  expect(refused.stdout).toBe("");
  expect(refused.stderr).toContain("The message is not valid JSON.");
  const handled = send('{"type":"ping"}');
  expect(handled).toMatchObject({ status: 0, stderr: "" });
});

describe("what a handler returns", () => {
  async function answerOf(work: (say: () => Promise<unknown>) => unknown): Promise<string> {
    const server = await startManager();
    onDispose(server.dispose);
    const { manager } = server;
    server.router.public("/ask", { message: () => work(() => manager.broadcast("hello")) });
    const client = await connect(`${server.url}/ask`);
    return codeOf(client.request("question"));
  }

  test("goes to the client, as JSON", async () => {
    expect(await answerOf(() => ({ price: 1 }))).toBe('resolved with {"price":1}');
    expect(await answerOf(async () => 0)).toBe("resolved with 0");
  });

  test("but not what a send resolves to: whom it reached is no client's business", async () => {
    const nothing = "resolved with undefined";
    expect(await answerOf((say) => say())).toBe(nothing);
    expect(await answerOf((say) => Promise.all([say(), say()]))).toBe(nothing);
    expect(await answerOf(() => {})).toBe(nothing);
  });
});

describe("a handler that throws MessageRefusedError", () => {
  test("refuses the message with its own words, and is no failure", async () => {
    const server = await startManager();
    onDispose(server.dispose);
    const errors: unknown[] = [];
    server.manager.on("error", (error) => errors.push(error));
    server.router.public("/shop", {
      message: (_connection, message) => {
        if (message === "late") throw new MessageRefusedError("closed", "We open at nine.");
        throw new MessageRefusedError("what", "I do not understand.", { misunderstood: true });
      },
    });
    const asking = await connect(`${server.url}/shop`);
    expect(await codeOf(asking.request("late"))).toBe("closed");

    const plain = await Client.connect(`${server.url}/shop`);
    const closed = { type: "error", code: "closed", message: "We open at nine." };
    for (let i = 0; i < 10; i++) {
      plain.send("late");
      expect(await plain.nextJson()).toEqual(closed);
    }
    for (let i = 0; i < 5; i++) plain.send("gibberish");
    expect(await plain.nextJson()).toMatchObject({ code: "what" });
    expect((await plain.closed()).code).toBe(1008);
    expect(errors).toEqual([]);
  });
});
