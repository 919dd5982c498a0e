import { spawnSync } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { repositoryRoot } from "../support/repository.ts";
import { type ServeProcess, startServe } from "../support/serve.ts";

const onDispose = useDisposals();

async function serve(options: Parameters<typeof startServe>[0] = {}): Promise<ServeProcess> {
  const started = await startServe(options);
  onDispose(started.dispose);
  return started;
}

function roomcast(args: readonly string[], env: Record<string, string> = {}) {
  const main = join(repositoryRoot, "dist/cli/main.js");
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    env: { ...process.env, ...env },
    encoding: "utf8",
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

async function enter(client: Client, room: string): Promise<Record<string, unknown>> {
  client.send({ type: "join", room });
  return client.nextOfType("joined");
}

describe("messages of /ws", () => {
  test("two people join a room, talk, see who is here and who leaves", async () => {
    const { wsUrl } = await serve();
    const alice = await Client.connect(`${wsUrl}/ws?user=alice`);
    const bob = await Client.connect(`${wsUrl}/ws?user=bob`);
    expect(await enter(alice, "lobby")).toEqual({
      type: "joined",
      room: "lobby",
      users: ["alice"],
    });
    expect(await alice.nextJson()).toEqual({
      type: "user_joined",
      user_id: "alice",
      room: "lobby",
    });
    expect(await enter(bob, "lobby")).toEqual({
      type: "joined",
      room: "lobby",
      users: ["alice", "bob"],
    });
    expect(await alice.nextOfType("user_joined")).toEqual({
      type: "user_joined",
      user_id: "bob",
      room: "lobby",
    });
    bob.send({ type: "room_message", room: "lobby", data: { text: "hi" } });
    const message = { type: "message", from: "bob", room: "lobby", data: { text: "hi" } };
    expect(await alice.nextOfType("message")).toEqual(message);
    expect(await bob.nextOfType("message")).toEqual(message);
    bob.send({ type: "leave", room: "lobby" });
    expect(await bob.nextOfType("left")).toEqual({ type: "left", room: "lobby" });
    expect(await alice.nextOfType("user_left")).toEqual({
      type: "user_left",
      user_id: "bob",
      room: "lobby",
    });
  });

  test("the answer to a join comes before the announcement of it", async () => {
    const { wsUrl } = await serve();
    const alice = await Client.connect(`${wsUrl}/ws?user=alice`);
    for (const room of ["a", "b", "c"]) {
      alice.send({ type: "join", room });
      expect(await alice.nextJson()).toEqual({ type: "joined", room, users: ["alice"] });
      expect(await alice.nextJson()).toEqual({ type: "user_joined", user_id: "alice", room });
    }
  });

  test("a broadcast reaches everyone, the sender too; a direct message every device of one user", async () => {
    const { wsUrl } = await serve();
    const alice = await Client.connect(`${wsUrl}/ws?user=alice`);
    const bobs = [
      await Client.connect(`${wsUrl}/ws?user=bob`),
      await Client.connect(`${wsUrl}/ws?user=bob`),
    ];
    alice.send({ type: "broadcast", data: null });
    for (const client of [alice, ...bobs]) {
      expect(await client.nextJson()).toEqual({ type: "message", from: "alice", data: null });
    }
    alice.send({ type: "direct_message", to: "bob", data: [1] });
    for (const bob of bobs) {
      expect(await bob.nextJson()).toEqual({ type: "dm", from: "alice", data: [1] });
    }
    alice.send({ type: "ping" });
    expect(await alice.nextJson()).toEqual({ type: "pong" });
  });

  test("leaving is for this connection only", async () => {
    const { wsUrl } = await serve();
    const phone = await Client.connect(`${wsUrl}/ws?user=alice`);
    const laptop = await Client.connect(`${wsUrl}/ws?user=alice`);
    await enter(phone, "lobby");
    await enter(laptop, "lobby");
    phone.send({ type: "leave", room: "lobby" });
    await phone.nextOfType("left");
    laptop.send({ type: "room_message", room: "lobby", data: "still here" });
    expect(await laptop.nextOfType("message")).toMatchObject({ data: "still here" });
    phone.send({ type: "ping" });
    expect(await phone.nextJson()).toEqual({ type: "pong" });
  });

  test("history is paged, and since is exclusive", async () => {
    const { wsUrl } = await serve({ env: { WS_HISTORY_MAX_LENGTH: "5" } });
    const alice = await Client.connect(`${wsUrl}/ws?user=alice`);
    await enter(alice, "lobby");
    for (let i = 0; i < 8; i++) alice.send({ type: "room_message", room: "lobby", data: i });
    for (let i = 0; i < 8; i++) await alice.nextOfType("message");
    const read = async (request: object): Promise<Record<string, unknown>> => {
      alice.send({ type: "history", room: "lobby", ...request });
      return alice.nextOfType("history");
    };
    type Messages = { id: string; prev: string; data: { data: number } }[];
    const dataOf = (page: Record<string, unknown>): number[] =>
      (page.messages as Messages).map(({ data }) => data.data);
    const first = await read({ limit: 3 });
    expect(dataOf(first)).toEqual([3, 4, 5]);
    const second = await read({ since: first.next, limit: 3 });
    expect(dataOf(second)).toEqual([6, 7]);
    expect(second.next).toBeUndefined();
    const ids = [...(first.messages as Messages), ...(second.messages as Messages)];
    for (const [i, { prev }] of ids.entries()) if (i > 0) expect(prev).toBe(ids[i - 1]?.id);
    expect(dataOf(await read({ since: ids.at(-1)?.id }))).toEqual([]);
    expect(dataOf(await read({}))).toHaveLength(5);
  });

  test("a client of roomcast.v1 resumes its rooms and misses nothing", async () => {
    const { wsUrl } = await serve();
    const connect = async (rooms: object): Promise<Client> => {
      const client = await Client.connect(`${wsUrl}/ws?user=alice`, {}, ["roomcast.v1"]);
      client.send({ type: "resume", rooms });
      return client;
    };
    const bob = await Client.connect(`${wsUrl}/ws?user=bob`);
    await enter(bob, "lobby");
    const say = async (data: number): Promise<void> => {
      bob.send({ type: "room_message", room: "lobby", data });
      await bob.nextOfType("message");
    };
    const alice = await connect({ lobby: "0" });
    await alice.nextOfType("joined");
    await say(1);
    // Announcements come between, and have no place in the log.
    const next = async (client: Client): Promise<Record<string, unknown>> => {
      const frame = await client.nextOfType("message");
      return frame.id === undefined ? next(client) : frame;
    };
    const first = await next(alice);
    alice.socket.terminate();
    await say(2);
    const again = await connect({ lobby: first.id });
    expect(await again.nextOfType("joined")).toMatchObject({ room: "lobby", recovered: true });
    const second = await next(again);
    expect(second.prev).toBe(first.id);
    expect(JSON.parse(String(second.data))).toMatchObject({ from: "bob", data: 2 });
  });

  test("WS_HISTORY_ROOMS says which rooms are kept", async () => {
    const { url } = await serve({ env: { WS_HISTORY_ROOMS: "kept:*" } });
    const post = async (path: string, body: object): Promise<Response> =>
      fetch(`${url}/api/${path}`, { method: "POST", body: JSON.stringify(body) });
    const kept = await post("rooms/kept%3Aa/messages", { data: 1 });
    expect(await kept.json()).toMatchObject({ id: expect.any(String) });
    const other = await post("rooms/other/messages", { data: 1 });
    expect(await other.json()).toEqual({ scope: "cluster", localRecipients: 0 });
    const asked = await post("rooms/other/messages", { data: 1, persist: true });
    expect(asked.status).toBe(400);
  });

  test("a guest gets a name", async () => {
    const { url, wsUrl } = await serve();
    await Client.connect(`${wsUrl}/ws`);
    const stats = await (await fetch(`${url}/ws/stats`)).json();
    expect(stats).toEqual({ connections: 1, users: [expect.stringMatching(/^guest-/)], rooms: 0 });
  });
});

describe("bad input", () => {
  test.each<[string, string | Uint8Array, string, RegExp]>([
    ["JSON that does not parse", "{", "bad_json", /not valid JSON/],
    ["JSON nested too deeply", "[".repeat(40), "bad_json", /32 levels/],
    ["bytes", new Uint8Array([1]), "unsupported_data", /as text/],
    ["a list", "[]", "bad_message", /JSON object/],
    ["null", "null", "bad_message", /JSON object/],
    ["a string", '"join"', "bad_message", /JSON object/],
    ["no type", "{}", "unknown_type", /join, leave, broadcast/],
    ["an unknown type", '{"type":"jion"}', "unknown_type", /join, leave, broadcast/],
    ["a type of the prototype", '{"type":"constructor"}', "unknown_type", /must be one of/],
    ["a missing room", '{"type":"join"}', "bad_field", /room must be a string/],
    ["a room that is no string", '{"type":"join","room":5}', "bad_field", /room/],
    ["an empty room", '{"type":"join","room":""}', "bad_field", /1 to 256 bytes/],
    ["a room with a brace", '{"type":"join","room":"{a}"}', "bad_field", /\{ or \}/],
    ["a room with a newline", '{"type":"join","room":"a\\n"}', "bad_field", /control/],
    ["a long room", `{"type":"join","room":"${"x".repeat(257)}"}`, "bad_field", /256/],
    ["no data", '{"type":"broadcast"}', "bad_field", /data is missing/],
    ["no addressee", '{"type":"direct_message","data":1}', "bad_field", /to must be/],
    ["a limit of 0", '{"type":"history","room":"a","limit":0}', "bad_field", /limit must be/],
    ["a since of 5", '{"type":"history","room":"a","since":5}', "bad_field", /since must be/],
    [
      "a room one is not in",
      '{"type":"room_message","room":"a","data":1}',
      "not_a_member",
      /Join the room "a" first/,
    ],
    ["history of such a room", '{"type":"history","room":"a"}', "not_a_member", /Join the room/],
  ])("%s is answered, and the connection stays open", async (_what, message, code, text) => {
    const { wsUrl } = await shared();
    const client = await Client.connect(`${wsUrl}/ws?user=alice`);
    client.send(message);
    const error = await client.nextJson();
    expect(error).toEqual({ type: "error", code, message: expect.stringMatching(text) });
    client.send({ type: "ping" });
    expect(await client.nextJson()).toEqual({ type: "pong" });
    await client.close();
  });

  test("a malformed position is answered", async () => {
    const { wsUrl } = await shared();
    const client = await Client.connect(`${wsUrl}/ws?user=alice`);
    await enter(client, "a");
    client.send({ type: "history", room: "a", since: "yesterday" });
    expect(await client.nextOfType("error")).toMatchObject({ code: "bad_position" });
    await client.close();
  });

  test("the fifth in a row closes with 1008; a good one starts the count anew; others go on", async () => {
    const { wsUrl } = await shared();
    const other = await Client.connect(`${wsUrl}/ws?user=other`);
    const client = await Client.connect(`${wsUrl}/ws?user=alice`);
    for (let i = 0; i < 4; i++) client.send("nonsense");
    client.send({ type: "ping" });
    for (let i = 0; i < 5; i++) client.send("nonsense");
    const types: unknown[] = [];
    for (let i = 0; i < 10; i++) types.push((await client.nextJson()).type);
    expect(types).toEqual([...Array(4).fill("error"), "pong", ...Array(5).fill("error")]);
    expect(await client.closed()).toEqual({ code: 1008, reason: "too many bad messages" });
    other.send({ type: "ping" });
    expect(await other.nextJson()).toEqual({ type: "pong" });
    await other.close();
  });

  test("a name that is not allowed is refused before the upgrade", async () => {
    const { wsUrl } = await shared();
    await expect(Client.connect(`${wsUrl}/ws?user=%7Ba%7D`)).rejects.toThrow("400");
    await expect(Client.connect(`${wsUrl}/ws?user=`)).rejects.toThrow("400");
    await expect(Client.connect(`${wsUrl}/nowhere`)).rejects.toThrow("404");
  });

  test("nothing a client sends reaches the log unescaped", async () => {
    const server = await shared();
    const client = await Client.connect(`${server.wsUrl}/ws?user=${encodeURIComponent("evil😀")}`);
    for (const room of ["\u001b[31mred", "a\r\nfake line", "ok"])
      client.send({ type: "join", room });
    client.send("x\u001b]0;title\u0007\n");
    client.socket.send("y".repeat(2_000_000));
    await client.closed();
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(server.output()).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
    expect(server.output()).not.toContain("fake line\n");
  });

  let running: Promise<ServeProcess> | null = null;
  /** One server for all of these: none of them may disturb it. */
  function shared(): Promise<ServeProcess> {
    running ??= startServe();
    return running;
  }
  test("after all of that it still serves, and stops in good order", async () => {
    const server = await shared();
    expect((await fetch(`${server.url}/health/ready`)).status).toBe(200);
    expect(await server.stop()).toBe(0);
  });
});

describe("what the server says of itself", () => {
  test("health, readiness, liveness and stats", async () => {
    const { url, wsUrl } = await serve();
    const client = await Client.connect(`${wsUrl}/ws?user=alice`);
    await enter(client, "lobby");
    const get = async (path: string): Promise<[number, unknown]> => {
      const response = await fetch(url + path);
      return [response.status, await response.json()];
    };
    const health = {
      status: "healthy",
      instance_id: expect.any(String),
      local_connections: 1,
      local_users: 1,
      local_rooms: 1,
      global_online_users: 1,
      redis_connected: false,
    };
    expect(await get("/health/live")).toEqual([200, { status: "alive" }]);
    for (const path of ["/health", "/health/ready", "/health/websocket"]) {
      expect(await get(path)).toEqual([200, health]);
    }
    expect(await get("/ws/stats")).toEqual([200, { connections: 1, users: ["alice"], rooms: 1 }]);
    expect((await get("/nowhere"))[0]).toBe(404);
    expect((await fetch(`${url}/health`, { method: "POST" })).status).toBe(405);
    expect((await fetch(`${url}/health`, { method: "HEAD" })).status).toBe(200);
    expect((await fetch(`${url}/%2e%2e/package.json`)).status).toBe(404);
  });

  test("the page is there, with a strict content security policy", async () => {
    const { url } = await serve();
    const response = await fetch(url);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toContain("text/html");
    expect(response.headers.get("content-security-policy")).toContain("default-src 'self'");
    expect(await response.text()).toContain("<script");
  });
});

describe("life", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("%s drains and ends with 0", async (signal) => {
    const server = await serve();
    const client = await Client.connect(`${server.wsUrl}/ws?user=alice`);
    const exited = new Promise((resolve) => server.process.once("exit", resolve));
    server.process.kill(signal);
    expect(await client.nextJson()).toEqual({
      type: "system",
      message: "The server is restarting.",
    });
    expect((await client.closed()).code).toBe(1012);
    expect(await exited).toBe(0);
  });

  test("a second signal ends it at once", async () => {
    const server = await serve();
    const client = await Client.connect(`${server.wsUrl}/ws?user=alice`);
    // A client that never answers would hold up the drain for five seconds.
    client.socket.pause();
    const exited = new Promise((resolve) => server.process.once("exit", resolve));
    server.process.kill("SIGTERM");
    await expect.poll(() => server.output()).toContain("SIGTERM");
    const start = performance.now();
    server.process.kill("SIGTERM");
    expect(await exited).toBe(1);
    expect(performance.now() - start).toBeLessThan(4000);
  });

  test("a port in use is one sentence, and exit code 1", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    onDispose(() => taken.close());
    const { port } = taken.address() as AddressInfo;
    const { status, stderr } = roomcast(["serve"], { PORT: String(port) });
    expect(status).toBe(1);
    expect(stderr).toBe(
      `roomcast: Port ${port} on 127.0.0.1 is in use. Choose another one with PORT or --port.\n`,
    );
  });

  test.each<[string[], Record<string, string>, RegExp]>([
    [[], { PORT: "eighty" }, /PORT is "eighty", but must be a whole number from 0 to 65535/],
    [["--port", "70000"], {}, /--port is "70000"/],
    [[], { WS_PING_INTERVAL: "-5" }, /WS_PING_INTERVAL is "-5", but must be seconds/],
    [[], { HOST: "0.0.0.0" }, /HOST is "0.0.0.0", which others can reach/],
    [[], { HOST: "192.0.2.1" }, /others can reach/],
    [["--prot", "1"], {}, /--prot/],
    [["extra"], {}, /extra/],
  ])("%j with %j is one sentence, and exit code 1", (args, env, sentence) => {
    const { status, stderr } = roomcast(["serve", ...args], { PORT: "0", ...env });
    expect(stderr).toMatch(sentence);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(status).toBe(1);
  });

  test("help and version", () => {
    expect(roomcast(["--help"])).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/serve/),
    });
    expect(roomcast(["serve", "--help"]).stdout).toMatch(/PORT/);
    expect(roomcast(["--version"]).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    const unknown = roomcast(["srve"]);
    expect(unknown.status).toBe(1);
    expect(unknown.stderr).toMatch(/no command "srve"; there are: serve/);
  });
});
