import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import type { Authenticator } from "../../src/auth.ts";
import { AuthenticationError } from "../../src/protocol/errors.ts";
import { ConnectionManager } from "../../src/server/connection-manager.ts";
import { WebSocketRouter } from "../../src/upgrade/router.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { clientFrame, handshake, type RawAnswer, RawClient } from "../support/raw-handshake.ts";

/** Tokens say by their name what becomes of them. */
const check: Authenticator = async (_request, { token, signal }) => {
  if (token === null || token.startsWith("bad")) return null;
  if (token === "faulty") throw new Error("the database is away");
  if (token === "refused") throw new AuthenticationError("refused at once");
  if (token === "nameless") return { id: "", scopes: [], claims: {}, via: "jwt" };
  if (token === "slow") {
    await new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(new Error("aborted")));
    });
  }
  const via = token === "program" ? "apiKey" : "jwt";
  return { id: token, scopes: token === "writer" ? ["read", "write"] : ["read"], claims: {}, via };
};

const errors: unknown[] = [];
const manager = new ConnectionManager();
manager.on("error", (error) => errors.push(error));
const router = new WebSocketRouter(manager, {
  authenticate: check,
  authenticationTimeoutMs: 300,
  allowedOrigins: ["https://app.example.org"],
});
const echo = (connection: { send(message: string): unknown }, message: unknown): void => {
  connection.send(String(message));
};
router
  .public("/public", { message: echo })
  .public("/spoken", { subprotocols: ["chat.v2", "chat.v1"] }, { message: echo })
  .public("/room/:room", { open: (connection, { params }) => connection.send(params.room) })
  .optional("/optional", {
    open: (connection) => connection.send(connection.userId ?? "nobody"),
  })
  .protected("/protected", { message: echo })
  .user("/people", { message: echo })
  .scopes("/all", ["read", "write"], { message: echo })
  .anyScope("/any", ["write", "read"], { message: echo })
  .anyScope("/never", ["admin"], { message: echo });
// Routers of the same server with other rules about origins.
const own = new WebSocketRouter(manager, { prefix: "/own", allowLoopbackOrigins: false })
  .public("/", {})
  .public("/:a/end", {});
const any = new WebSocketRouter(manager, { prefix: "/any-page", allowedOrigins: ["*"] }).public(
  "/",
  {},
);
const server = createServer({ maxHeaderSize: 16_384 });
for (const one of [router, own, any]) one.attach(server);
let port = 0;

beforeAll(async () => {
  await manager.start();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  port = (server.address() as AddressInfo).port;
});

afterAll(async () => {
  await manager.stop();
  server.closeAllConnections();
  server.close();
});

const dispose = useDisposals();

async function open(): Promise<RawClient> {
  const client = await RawClient.connect(port);
  dispose(() => client.dispose());
  return client;
}

async function answer(request: string): Promise<RawAnswer | null> {
  const client = await open();
  client.write(request);
  return client.answer();
}

/** The next client is served: nothing that came before did any harm. */
async function expectService(): Promise<void> {
  const client = await Client.connect(`ws://127.0.0.1:${port}/public`);
  client.send("still here");
  expect(await client.next()).toBe("still here");
  await client.close();
}

type Case = [name: string, status: number | null, request: string];

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
const protocols = (...names: string[]) => ({ "Sec-WebSocket-Protocol": names.join(", ") });
const huge = "x".repeat(20_000);

const CASES: readonly Case[] = [
  // RFC 6455 section 4.2.1
  ["a good one", 101, handshake("/public")],
  ["another case of Upgrade", 101, handshake("/public", { Upgrade: "WebSocket" })],
  [
    "several tokens in Connection",
    101,
    handshake("/public", { Connection: "keep-alive, Upgrade" }),
  ],
  ["an extension nobody speaks", 101, handshake("/public", { "Sec-WebSocket-Extensions": "x-y" })],
  [
    "permessage-deflate, which is off",
    101,
    handshake("/public", { "Sec-WebSocket-Extensions": "permessage-deflate" }),
  ],
  ["POST", 405, handshake("/public", {}, "POST /public HTTP/1.1")],
  ["PUT", 405, handshake("/public", {}, "PUT /public HTTP/1.1")],
  ["HEAD", 405, handshake("/public", {}, "HEAD /public HTTP/1.1")],
  ["DELETE", 405, handshake("/public", {}, "DELETE /public HTTP/1.1")],
  ["a method that is none", 400, handshake("/public", {}, "FETCH /public HTTP/1.1")],
  ["HTTP/1.0", 400, handshake("/public", {}, "GET /public HTTP/1.0")],
  ["HTTP/2.0 in plain text", 400, handshake("/public", {}, "GET /public HTTP/2.0")],
  ["no Host", 400, handshake("/public", { Host: null })],
  ["two hosts", 400, handshake("/public", { Host: ["a", "b"] })],
  ["an upgrade to something else", 400, handshake("/public", { Upgrade: "h2c" })],
  ["two upgrades", 400, handshake("/public", { Upgrade: ["websocket", "websocket"] })],
  ["version 8", 426, handshake("/public", { "Sec-WebSocket-Version": "8" })],
  ["version 12", 426, handshake("/public", { "Sec-WebSocket-Version": "12" })],
  ["version 013", 426, handshake("/public", { "Sec-WebSocket-Version": "013" })],
  ["no version", 426, handshake("/public", { "Sec-WebSocket-Version": null })],
  ["two versions", 426, handshake("/public", { "Sec-WebSocket-Version": ["13", "8"] })],
  ["no key", 400, handshake("/public", { "Sec-WebSocket-Key": null })],
  ["an empty key", 400, handshake("/public", { "Sec-WebSocket-Key": "" })],
  ["a key of 15 bytes", 400, handshake("/public", { "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAA" })],
  [
    "a key of 17 bytes",
    400,
    handshake("/public", { "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAAA=" }),
  ],
  [
    "a key without padding",
    400,
    handshake("/public", { "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA" }),
  ],
  [
    "a key in the alphabet of URLs",
    400,
    handshake("/public", { "Sec-WebSocket-Key": "-_AAAAAAAAAAAAAAAAAAAA==" }),
  ],
  [
    "a key with a character that is none",
    400,
    handshake("/public", { "Sec-WebSocket-Key": "AAAAAAAAAA!AAAAAAAAAAA==" }),
  ],
  [
    "two keys",
    400,
    handshake("/public", {
      "Sec-WebSocket-Key": ["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="],
    }),
  ],
  ["a huge key", 400, handshake("/public", { "Sec-WebSocket-Key": "A".repeat(8000) })],

  // Paths
  ["a trailing slash", 101, handshake("/public/")],
  ["a query", 101, handshake("/public?a=b&c")],
  ["an encoded letter", 101, handshake("/%70ublic")],
  ["a parameter", 101, handshake("/room/a%20b")],
  ["an empty parameter", 404, handshake("/room/")],
  ["a broken escape", 404, handshake("/room/%zz")],
  ["escaped bytes that are no text", 404, handshake("/room/%ff")],
  ["a slash too many", 404, handshake("//public")],
  ["a path nobody serves", 404, handshake("/nowhere")],
  ["dots", 404, handshake("/room/../public")],
  ["a target that is a URL", 404, handshake("http://localhost/public")],
  ["a target that is no URL", 404, handshake("http://[::1/public")],
  ["an asterisk", 404, handshake("*")],
  ["a long path", 404, handshake(`/${"a/".repeat(4000)}`)],

  // Headers
  ["headers over the limit", 431, handshake("/public", { "X-Long": huge })],
  ["a target over the limit", 431, handshake(`/public?${huge}`)],
  ["a hundred headers", 101, handshake("/public", { "X-Many": Array(94).fill("x") })],
  ["a line break in a header", 400, handshake("/public", { "X-Bad": "a\rb" })],
  ["a NUL in a header", 400, handshake("/public", { "X-Bad": "a\0b" })],
  [
    "a header without a colon",
    400,
    handshake("/public").replace("\r\n\r\n", "\r\nnonsense\r\n\r\n"),
  ],
  ["a header whose name has a space", 400, handshake("/public", { "X Bad": "a" })],
  [
    "a folded header",
    400,
    handshake("/public").replace("\r\n\r\n", "\r\nX-A: b\r\n folded\r\n\r\n"),
  ],
  [
    "a header smuggled into a value",
    400,
    handshake("/public", { "X-A": "b\nOrigin: https://app.example.org" }),
  ],
  ["lengths that differ", 400, handshake("/public", { "Content-Length": ["1", "2"] })],
  ["no HTTP at all", 400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"],

  // Origins
  ["a page that may", 101, handshake("/public", { Origin: "https://app.example.org" })],
  ["a page of another site", 403, handshake("/public", { Origin: "https://evil.example" })],
  ["a page of another scheme", 403, handshake("/public", { Origin: "http://app.example.org" })],
  ["a page of another port", 403, handshake("/public", { Origin: "https://app.example.org:444" })],
  ["a longer host", 403, handshake("/public", { Origin: "https://app.example.org.evil.example" })],
  ["a sandboxed page", 403, handshake("/public", { Origin: "null" })],
  ["an empty origin", 403, handshake("/public", { Origin: "" })],
  [
    "two origins",
    403,
    handshake("/public", { Origin: ["https://app.example.org", "https://app.example.org"] }),
  ],
  [
    "a foreign page with a good token",
    403,
    handshake("/protected", { Origin: "https://evil.example", ...bearer("alice") }),
  ],

  ["a page of the host itself", 101, handshake("/own", { Origin: "http://LOCALHOST" })],
  ["a page of another host", 403, handshake("/own", { Origin: "http://localhost.evil.example" })],
  ["a page of another port of the host", 403, handshake("/own", { Origin: "http://localhost:81" })],
  ["an origin that is no URL", 403, handshake("/own", { Origin: "localhost" })],
  ["any page where all may", 101, handshake("/any-page", { Origin: "https://evil.example" })],
  ["an empty parameter in the middle", 404, handshake("/own//end")],
  ["a parameter in the middle", 101, handshake("/own/x/end")],
  ["another end", 404, handshake("/own/x/start")],
  ["a longer path", 404, handshake("/own/x/end/more")],

  // Credentials
  ["no credential", 401, handshake("/protected")],
  ["a bad one", 401, handshake("/protected", bearer("bad"))],
  ["a blank one", 401, handshake("/protected", bearer(" "))],
  ["one of another scheme", 401, handshake("/protected", { Authorization: "Basic YTpi" })],
  ["one that is too long", 401, handshake("/protected", bearer("a".repeat(9000)))],
  ["one that is refused at once", 401, handshake("/protected", bearer("refused"))],
  ["a good one in a header", 101, handshake("/protected", bearer("alice"))],
  ["a good one in the query", 101, handshake("/protected?token=alice")],
  ["a good one among the subprotocols", 101, handshake("/protected", protocols("bearer", "alice"))],
  ["a good one as an API key", 101, handshake("/protected", { "X-API-Key": "alice" })],
  ["the same one twice", 101, handshake("/protected?token=alice", bearer("alice"))],
  ["two that differ", 400, handshake("/protected?token=alice", bearer("bob"))],
  [
    "two headers that differ",
    400,
    handshake("/protected", { Authorization: ["Bearer alice", "Bearer bob"] }),
  ],
  ["a check that fails", 503, handshake("/protected", bearer("faulty"))],
  ["a check that takes too long", 503, handshake("/protected", bearer("slow"))],
  ["a principal without a name", 503, handshake("/protected", bearer("nameless"))],
  ["nobody where that is allowed", 101, handshake("/optional")],
  ["a bad credential where nobody is allowed", 401, handshake("/optional", bearer("bad"))],
  ["a person where people may", 101, handshake("/people", bearer("alice"))],
  ["a program where people may", 403, handshake("/people", bearer("program"))],
  ["all scopes", 101, handshake("/all", bearer("writer"))],
  ["one scope of two", 403, handshake("/all", bearer("alice"))],
  ["one of the scopes that do", 101, handshake("/any", bearer("alice"))],
  ["none of the scopes that do", 403, handshake("/never", bearer("writer"))],

  // Subprotocols
  ["a subprotocol nobody speaks", 101, handshake("/public", protocols("nothing"))],
  ["an empty list of subprotocols", 400, handshake("/public", protocols(""))],
  ["a subprotocol twice", 400, handshake("/public", protocols("a", "a"))],
  ["a subprotocol with a slash", 400, handshake("/public", protocols("a/b"))],
  ["a subprotocol with a space", 400, handshake("/public", protocols("a b"))],
  ["a subprotocol that is not ASCII", 400, handshake("/public", protocols("\xe4"))],
  ["a stray comma between subprotocols", 400, handshake("/public", protocols("a", "", "b"))],
];

describe("a handshake with", () => {
  test.each(CASES)("%s gets %i", async (_name, status, request) => {
    const got = await answer(request);
    expect(got?.status).toBe(status);
    await expectService();
  });

  test("is covered in at least 60 ways", () => {
    expect(CASES.length).toBeGreaterThanOrEqual(60);
  });
});

describe("an answer", () => {
  test("says what it can and nothing else", async () => {
    const unauthorized = await answer(handshake("/protected"));
    expect(unauthorized?.headers.get("www-authenticate")).toBe("Bearer");
    expect(unauthorized?.body).toBe("Unauthorized\n");
    const bad = await answer(handshake("/protected", bearer("bad")));
    expect(bad).toEqual(unauthorized);
    const old = await answer(handshake("/public", { "Sec-WebSocket-Version": "8" }));
    expect(old?.headers.get("sec-websocket-version")).toBe("13");
    expect(
      (await answer(handshake("/public", {}, "POST /public HTTP/1.1")))?.headers.get("allow"),
    ).toBe("GET");
    const later = await answer(handshake("/protected", bearer("faulty")));
    expect(later?.headers.get("retry-after")).toBe("5");
  });

  test("selects a subprotocol that both speak, else bearer, never the token", async () => {
    const selected = async (target: string, ...offered: string[]): Promise<string | undefined> =>
      (await answer(handshake(target, protocols(...offered))))?.headers.get(
        "sec-websocket-protocol",
      );
    expect(await selected("/spoken", "chat.v1", "chat.v2")).toBe("chat.v2");
    expect(await selected("/spoken", "bearer", "alice", "chat.v1")).toBe("chat.v1");
    expect(await selected("/spoken", "other")).toBeUndefined();
    expect(await selected("/protected", "bearer", "alice")).toBe("bearer");
    expect(await selected("/public", "bearer", "alice")).toBe("bearer");
  });

  test("tells the owner why a check failed, the client only that it did", async () => {
    errors.length = 0;
    await answer(handshake("/protected", bearer("faulty")));
    await answer(handshake("/protected", bearer("slow")));
    await answer(handshake("/protected", bearer("nameless")));
    expect(errors.map(String)).toEqual([
      "Error: the database is away",
      "Error: Authentication took more than 300 ms.",
      'RangeError: The user "" is empty.',
    ]);
  });
});

describe("nothing is lost", () => {
  test("of what comes with the handshake, before the answer, while the token is checked", async () => {
    const client = await open();
    client.write(
      Buffer.concat([
        Buffer.from(handshake("/protected", bearer("alice"))),
        clientFrame(1, "in the same packet"),
      ]),
    );
    client.write(clientFrame(1, "right after"));
    expect((await client.answer())?.status).toBe(101);
    expect((await client.frame())?.payload.toString()).toBe("in the same packet");
    expect((await client.frame())?.payload.toString()).toBe("right after");
  });

  test("when a frame is cut in two by the handshake", async () => {
    const client = await open();
    const frame = clientFrame(1, "halves");
    client.write(Buffer.concat([Buffer.from(handshake("/public")), frame.subarray(0, 5)]));
    expect((await client.answer())?.status).toBe(101);
    client.write(frame.subarray(5));
    expect((await client.frame())?.payload.toString()).toBe("halves");
  });
});

describe("while a credential is checked", () => {
  test("the check is told when the client has gone, and its owner is not bothered", async () => {
    errors.length = 0;
    const client = await open();
    const checked = new Promise<AbortSignal>((resolve) => {
      const watching = new WebSocketRouter(manager, {
        prefix: "/watched",
        authenticate: (_request, { signal }) =>
          new Promise((settle) => {
            signal.addEventListener("abort", () => settle(null));
            resolve(signal);
          }),
      });
      watching.protected("/", {}).attach(server);
    });
    client.write(handshake("/watched"));
    const signal = await checked;
    const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
    client.reset();
    await aborted;
    expect(String(signal.reason)).toContain("has gone");
    await expectService();
    expect(errors).toEqual([]);
  });

  test("a stop may begin: the client gets a 503", async () => {
    const stopping = new ConnectionManager();
    let admit: () => void = () => {};
    const asked = new Promise<void>((resolve) => {
      new WebSocketRouter(stopping, {
        prefix: "/stopping",
        authenticate: () =>
          new Promise((settle) => {
            admit = () => settle({ id: "alice", scopes: [], claims: {}, via: "jwt" });
            resolve();
          }),
      })
        .protected("/", {})
        .attach(server);
    });
    const answered = answer(handshake("/stopping"));
    await asked;
    await stopping.stop();
    admit();
    expect(await answered).toMatchObject({ status: 503, body: "Service Unavailable\n" });
    expect((await answer(handshake("/stopping")))?.status).toBe(503);
  });
});

describe("no client harms another", () => {
  test("that resets the connection while its token is checked", async () => {
    for (let i = 0; i < 20; i++) {
      const client = await open();
      client.write(handshake("/protected", bearer("slow")));
      if (i % 2 === 0) client.reset();
      else client.dispose();
    }
    await expectService();
    // All their seats are free again when the check has given up.
    await expect.poll(() => manager.connectionCount).toBe(0);
  });

  test("that closes its half of the connection right away", async () => {
    const client = await open();
    client.socket.end(handshake("/public"));
    await client.closed();
    await expectService();
  });

  test("that sends its handshake byte by byte", async () => {
    const client = await open();
    client.socket.setNoDelay(true);
    for (const byte of Buffer.from(handshake("/public"))) {
      client.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await client.answer())?.status).toBe(101);
  });

  test("that never finishes its handshake: it gets a 408", async () => {
    const slow = createServer({ headersTimeout: 200, connectionsCheckingInterval: 50 });
    router.attach(slow);
    slow.listen(0, "127.0.0.1");
    await once(slow, "listening");
    dispose(() => slow.close());
    const client = await RawClient.connect((slow.address() as AddressInfo).port);
    dispose(() => client.dispose());
    client.write(handshake("/public").slice(0, -2));
    expect((await client.answer())?.status).toBe(408);
  });
});

describe("a router", () => {
  test("shares its server with routers and upgrades of others", async () => {
    const shared = createServer();
    const one = new WebSocketRouter(manager, { prefix: "/one/" });
    one.public("/ws", { open: (connection) => connection.send("one") });
    const two = new WebSocketRouter(manager, { prefix: "/two" });
    two.public("/ws", { open: (connection) => connection.send("two") });
    one.attach(shared);
    two.attach(shared);
    two.attach(shared);
    expect(shared.listenerCount("upgrade")).toBe(1);
    shared.listen(0, "127.0.0.1");
    await once(shared, "listening");
    dispose(() => shared.close());
    const url = `ws://127.0.0.1:${(shared.address() as AddressInfo).port}`;
    const greeting = async (path: string): Promise<string> => {
      const client = await Client.connect(url + path);
      const message = String(await client.next());
      await client.close();
      return message;
    };
    expect([await greeting("/one/ws"), await greeting("/two/ws/")]).toEqual(["one", "two"]);
    await expect(greeting("/three")).rejects.toThrow("404");

    const foreign = new WebSocketServer({ noServer: true });
    shared.on("upgrade", (request, socket, head) => {
      if (request.url !== "/three") return;
      foreign.handleUpgrade(request, socket, head, (webSocket) => webSocket.send("three"));
    });
    expect([await greeting("/three"), await greeting("/one/ws")]).toEqual(["three", "one"]);
  });

  test("takes upgrades from a listener of one's own", async () => {
    const own = createServer();
    own.on("upgrade", (request, socket, head) => router.handleUpgrade(request, socket, head));
    own.listen(0, "127.0.0.1");
    await once(own, "listening");
    dispose(() => own.close());
    const { port: ownPort } = own.address() as AddressInfo;
    const client = await Client.connect(`ws://127.0.0.1:${ownPort}/public`);
    await client.close();
    await expect(Client.connect(`ws://127.0.0.1:${ownPort}/nowhere`)).rejects.toThrow("404");
  });

  test("survives being handed the same socket twice", async () => {
    const twice = createServer();
    const failed = new Promise((resolve) => manager.on("error", resolve));
    twice.on("upgrade", (request, socket, head) => {
      router.handleUpgrade(request, socket, head);
      router.handleUpgrade(request, socket, head);
    });
    twice.listen(0, "127.0.0.1");
    await once(twice, "listening");
    dispose(() => twice.close());
    const client = await RawClient.connect((twice.address() as AddressInfo).port);
    client.write(handshake("/public"));
    expect(String(await failed)).toContain("more than once");
    await client.closed();
    await expectService();
  });

  test("does not throw at a client that has gone before it was refused", async () => {
    const gone = createServer();
    gone.on("upgrade", (request, socket, head) => {
      socket.destroy();
      router.handleUpgrade(request, socket, head);
    });
    gone.listen(0, "127.0.0.1");
    await once(gone, "listening");
    dispose(() => gone.close());
    const { port: gonePort } = gone.address() as AddressInfo;
    for (const target of ["/nowhere", "/public", "/protected?token=alice"]) {
      const socket = connect(gonePort, "127.0.0.1");
      socket.on("error", () => {});
      socket.write(handshake(target));
      await new Promise((resolve) => socket.on("close", resolve));
    }
    await expectService();
  });

  test.each([
    ["a path without a slash", () => router.public("chat", {}), /must begin with \//],
    ["a parameter without a name", () => router.public("/:", {}), /must have names/],
    ["a parameter twice", () => router.public("/:a/:a", {}), /must have names/],
    ["no authenticator", () => new WebSocketRouter(manager).protected("/", {}), /authenticate/],
    ["no scopes", () => router.scopes("/", [], {}), /list of one or more/],
    [
      "scopes that are no list",
      () => router.anyScope("/", "read" as never, {}),
      /list of one or more/,
    ],
    ["no handler", () => router.public("/", null as never), /handler of \/ must be/],
    ["a handler that is text", () => router.public("/", "x" as never), /handler of \/ must be/],
    [
      "a size that is none",
      () => router.public("/", { maxMessageSize: 0 }, {}),
      /maxMessageSize of \/ must be/,
    ],
    [
      "an authorize that is none",
      () => router.public("/", { authorize: true as never }, {}),
      /authorize of/,
    ],
    [
      "a schema that is none",
      () => router.public("/", { schema: {} as never }, {}),
      /Standard Schema/,
    ],
    [
      "a prefix without a slash",
      () => new WebSocketRouter(manager, { prefix: "api" }),
      /prefix must begin/,
    ],
    [
      "origins that are no list",
      () => new WebSocketRouter(manager, { allowedOrigins: "*" as never }),
      /allowedOrigins/,
    ],
    [
      "a proxy that is no address",
      () => new WebSocketRouter(manager, { trustProxy: ["proxy"] }),
      /trustProxy/,
    ],
    [
      "no time for a check",
      () => new WebSocketRouter(manager, { authenticationTimeoutMs: 0 }),
      /authenticationTimeoutMs/,
    ],
  ])("refuses %s when it is set up", (_name, setUp, message) => {
    expect(setUp).toThrow(message);
  });
});
