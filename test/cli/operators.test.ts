import { once } from "node:events";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { startServe } from "../support/serve.ts";

const onDispose = useDisposals();

/** With what a handshake to the operators' WebSocket is answered; 101: it is open. */
async function statusOf(url: string, options: WebSocket.ClientOptions = {}): Promise<number> {
  const socket = new WebSocket(`${url}/dashboard/ws`, options);
  socket.on("error", () => {});
  onDispose(() => socket.terminate());
  return new Promise((resolve) => {
    socket.once("open", () => resolve(101));
    socket.once("unexpected-response", (_request, { statusCode = 0 }) => resolve(statusCode));
  });
}

test("only a page of the server itself may listen, not one of another port or name, not through a proxy", async () => {
  const server = await startServe();
  onDispose(server.dispose);
  expect(await statusOf(server.wsUrl)).toBe(101);
  expect(await statusOf(server.wsUrl, { origin: server.url })).toBe(101);
  expect(await statusOf(server.wsUrl, { origin: "http://localhost:1" })).toBeGreaterThanOrEqual(
    401,
  );
  expect(await statusOf(server.wsUrl, { origin: "https://evil.example" })).toBeGreaterThanOrEqual(
    401,
  );
  expect(await statusOf(server.wsUrl, { headers: { Host: "evil.example" } })).toBe(403);
  expect(await statusOf(server.wsUrl, { headers: { "X-Forwarded-For": "127.0.0.1" } })).toBe(401);
});

test("five wrong keys a minute, on this way in as on the others", async () => {
  const server = await startServe({ env: { ROOMCAST_API_KEY: "an-operators-key" } });
  onDispose(server.dispose);
  const withKey = (key: string) => ({ headers: { Authorization: `Bearer ${key}` } });
  for (let i = 0; i < 5; i++) expect(await statusOf(server.wsUrl, withKey(`wrong ${i}`))).toBe(401);
  expect(await statusOf(server.wsUrl, withKey("an-operators-key"))).toBe(401);
  expect((await fetch(`${server.url}/metrics`, withKey("an-operators-key"))).status).toBe(429);
});

test("operators are nobody's users, and what they say is heard by nobody", async () => {
  const server = await startServe();
  onDispose(server.dispose);
  const operator = await Client.connect(`${server.wsUrl}/dashboard/ws`);
  const user = await Client.connect(`${server.wsUrl}/ws?user=alice`);
  operator.socket.send('{"type":"instance","instance":"forged"}');
  operator.socket.send('{"type":"broadcast","data":"hello"}');
  for (let i = 0; i < 2; i++) {
    expect(await operator.nextJson()).toMatchObject({ type: "instance", connections: 1, users: 1 });
  }
  user.socket.send('{"type":"ping"}');
  expect(await user.nextJson()).toEqual({ type: "pong" });
  for (const { socket } of [operator, user]) socket.close();
  await once(user.socket, "close");
});
