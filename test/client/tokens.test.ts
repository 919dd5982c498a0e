import { expect, test } from "vitest";
import { ConnectionFailedError, WebSocketClient } from "../../src/client.ts";
import { accepted, startBadServer } from "../support/bad-server.ts";
import { useDisposals } from "../support/disposals.ts";
import { startSocketServer } from "../support/socket-server.ts";

const onDispose = useDisposals();

test("a token that was fetched for one connection does not go out on the next", async () => {
  const auths: string[][] = [];
  const server = await startSocketServer((socket, number) => {
    const here: string[] = [];
    auths.push(here);
    socket.on("message", (data) => {
      const { type, token, id } = JSON.parse(String(data));
      if (type === "auth") here.push(token);
      if (id !== undefined) socket.send(JSON.stringify({ type: "ack", id }));
      if (type === "resume" && number === 1) {
        socket.send('{"type":"refresh","in_ms":1000}');
        socket.close(4000);
      }
    });
  });
  onDispose(server.dispose);
  const late: ((token: string) => void)[] = [];
  let calls = 0;
  const client = new WebSocketClient(server.url, {
    subprotocols: ["roomcast.v1"],
    config: { reconnectBackoffBaseMs: 0 },
    // The second is asked for by the server, and comes when that connection has gone.
    token: () => (++calls === 2 ? new Promise((resolve) => late.push(resolve)) : `t${calls}`),
  });
  onDispose(() => client.close());
  const reopened = new Promise<void>((resolve) => {
    client.on("open", ({ reconnected }) => reconnected && resolve());
  });
  await client.connect();
  await reopened;
  expect(late).toHaveLength(1);
  for (const resolve of late) resolve("late");
  await client.request("shows that whatever was sent has come");
  expect(auths).toEqual([[], []]);
});

test.each([null, undefined, "", "  "])(
  "a token that is %j is none, and is not sent",
  async (none) => {
    const server = await startBadServer((socket, key) => socket.write(accepted(key)));
    onDispose(server.dispose);
    for (const token of [none, () => none, async () => none]) {
      const client = new WebSocketClient(server.url, { token, config: { closeTimeoutMs: 100 } });
      await client.connect();
      await client.close();
    }
    expect(server.requests.filter((head) => /authorization/i.test(head))).toEqual([]);
    expect(server.requests).toHaveLength(3);
  },
);

test("a server that wants a fresh token is sent none where there is none", async () => {
  const frames: unknown[] = [];
  const server = await startSocketServer((socket) => {
    socket.on("message", (data) => {
      const frame = JSON.parse(String(data));
      frames.push(frame.type);
      if (frame.type === "resume") socket.send('{"type":"refresh","in_ms":1000}');
      if (frame.id !== undefined) socket.send(JSON.stringify({ type: "ack", id: frame.id }));
    });
  });
  onDispose(server.dispose);
  let calls = 0;
  const client = new WebSocketClient(server.url, {
    subprotocols: ["roomcast.v1"],
    token: () => (++calls === 1 ? "first" : null),
  });
  onDispose(() => client.close());
  await client.connect();
  await expect.poll(() => calls).toBe(2);
  await client.request("shows that whatever was sent has come");
  expect(frames.filter((type) => type !== "ping")).toEqual(["resume", "message"]);
});

test.each([5, {}, []])("a token that is %j is an error that does not show it", async (wrong) => {
  const client = new WebSocketClient("ws://127.0.0.1:1", { token: () => wrong as never });
  const error = await client.connect().catch((error: unknown) => error);
  expect(error).toBeInstanceOf(ConnectionFailedError);
  expect((error as Error).message).toBe("token must be text, or null.");
});

test.each([
  ["a token", { token: "sec\nret" }],
  ["a header", { headers: { "X-Key": "sec\nret" } }],
  ["a subprotocol", { subprotocols: ["sec ret"] }],
])("%s that cannot be sent is a failed connection, and not shown", async (_what, options) => {
  const client = new WebSocketClient("ws://127.0.0.1:1", options);
  const error = await client.connect().catch((error: unknown) => error);
  expect(error).toBeInstanceOf(ConnectionFailedError);
  const { message, cause } = error as Error;
  expect(`${message} ${cause}`).not.toContain("sec\nret");
  expect(client.state).toBe("closed");
});
