import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { connect } from "node:tls";
import { expect, test } from "vitest";
import { ConnectionManager, WebSocketRouter } from "../../src/index.ts";
import { makeCertificate } from "../support/certificate.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { clientFrame, handshake, RawClient } from "../support/raw-handshake.ts";

const onDispose = useDisposals();

async function echo(make: (listener: RequestListener) => Server | SecureServer) {
  const manager = new ConnectionManager();
  const server = make(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const headers = Object.keys(request.headers).join();
    response.end(`${request.method} ${request.url} ${Buffer.concat(chunks)} ${headers}`);
  });
  const router = new WebSocketRouter(manager);
  router.public("/ws", { message: (connection, message) => void connection.send(message) });
  router.attach(server);
  await manager.start();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onDispose(async () => {
    await manager.stop();
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function raw(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port);
  onDispose(() => client.dispose());
  return client;
}

const H2C = { Upgrade: "h2c", Connection: "Upgrade, HTTP2-Settings", "HTTP2-Settings": "AAMAAABk" };

test.each<[string, Record<string, string>]>([
  ["h2c, as curl --http2 asks for it", H2C],
  ["another protocol", { Upgrade: "TLS/1.0", Connection: "upgrade" }],
  ["several, none of which is ours", { Upgrade: "h2c, irc/6.9", Connection: "Upgrade" }],
  ["a name that begins like ours", { Upgrade: "websocket2", Connection: "Upgrade" }],
])(
  "a request that offers %s is answered as the request it is, and those after it too",
  async (_name, headers) => {
    const client = await raw(await echo((listener) => createServer(listener)));
    const lines = Object.entries({ Host: "localhost", ...headers }).map(
      ([name, value]) => `${name}: ${value}`,
    );
    for (const target of ["/", "/ws", "/nowhere?a=1"]) {
      client.write(`GET ${target} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
      const answer = await client.answer();
      expect(answer?.status).toBe(200);
      expect(answer?.body).toMatch(`GET ${target}  host`);
      expect(answer?.body).not.toMatch(/upgrade|http2/);
    }
    // With a body, half of which comes later, and another request behind it.
    client.write(`POST /post HTTP/1.1\r\n${lines.join("\r\n")}\r\nContent-Length: 10\r\n\r\nhello`);
    client.write("12345GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect((await client.answer())?.body).toMatch("POST /post hello12345 ");
    expect((await client.answer())?.body).toMatch("GET /next ");
    // And then an upgrade in earnest, on the same connection.
    client.write(handshake("/ws"));
    expect((await client.answer())?.status).toBe(101);
    client.write(clientFrame(1, "hi"));
    expect((await client.frame())?.payload.toString()).toBe("hi");
  },
);

test("WebSocket is found among several offers", async () => {
  const port = await echo((listener) => createServer(listener));
  const client = await raw(port);
  client.write(handshake("/nowhere", { Upgrade: "h2c, WebSocket" }));
  expect((await client.answer())?.status).toBe(404);
  const socket = await Client.connect(`ws://127.0.0.1:${port}/ws`);
  await socket.close();
});

test("over TLS too", async () => {
  const { certificate, key, dispose } = makeCertificate("DNS:localhost");
  onDispose(dispose);
  const pair = { cert: readFileSync(certificate), key: readFileSync(key) };
  const port = await echo((listener) => createSecureServer(pair, listener));
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  onDispose(() => socket.destroy());
  await once(socket, "secureConnect");
  for (let i = 0; i < 3; i++) {
    socket.write(
      `GET /${i} HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n`,
    );
    const [answer] = await once(socket, "data");
    expect(String(answer)).toMatch(`GET /${i} `);
  }
});

test("a connection that does nothing else is closed in the end", async () => {
  const client = await raw(await echo((listener) => createServer(listener)));
  const request =
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n";
  let answers = 0;
  for (;;) {
    client.write(request);
    if ((await client.answer()) === null) break;
    answers++;
  }
  expect(answers).toBe(1000);
});

test("curl --http2 gets its answer", async () => {
  const port = await echo((listener) => createServer(listener));
  const answer = await new Promise<string>((resolve) => {
    const args = ["-s", "--http2", `http://127.0.0.1:${port}/x`];
    execFile("curl", args, (error, stdout) => {
      // Where there is no curl, its request as it writes it is among those above.
      resolve(error?.code === "ENOENT" ? "GET /x " : stdout);
    });
  });
  expect(answer).toMatch("GET /x ");
});
