import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { ConnectionManager } from "../../src/server/connection-manager.ts";
import { makeCertificate } from "../support/certificate.ts";
import { useDisposals } from "../support/disposals.ts";
import { type RunningProxy, startHaproxy, startNginx } from "../support/proxies.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { repositoryRoot } from "../support/repository.ts";
import { ReturningClient } from "../support/returning-client.ts";
import { Publisher, ROOM, ROOMS } from "../support/rolling-restart.ts";
import { type ServeProcess, startServe } from "../support/serve.ts";

const onDispose = useDisposals();

/** What a configuration of ours is run with. */
interface Surroundings {
  readonly ports: readonly [number, number];
  /** null: without TLS, which `ReturningClient` does not speak. */
  readonly tls: { readonly certificate: string; readonly key: string } | null;
}

/** The configurations in `deploy/` as they are, but for names and places. */
const PROXIES: Record<string, (surroundings: Surroundings) => Promise<RunningProxy>> = {
  NGINX({ ports: [one, two], tls }) {
    const text = readFileSync(join(repositoryRoot, "deploy/nginx/roomcast.conf"), "utf8");
    const replaced = replace(text, {
      "app1:8000": `127.0.0.1:${one}`,
      "app2:8000": `127.0.0.1:${two}`,
      "listen 443 ssl;": tls === null ? "listen PORT;" : "listen PORT ssl;",
      "/etc/nginx/certs/chat.pem": tls?.certificate ?? "none",
      "/etc/nginx/certs/chat.key": tls?.key ?? "none",
    });
    const withoutTls = replaced.replace(/^ {2}ssl_.*$/gm, "");
    return startNginx(tls === null ? withoutTls : replaced);
  },
  HAProxy({ ports: [one, two], tls }) {
    const text = readFileSync(join(repositoryRoot, "deploy/haproxy/haproxy.cfg"), "utf8");
    const both = tls === null ? "" : `${tls.certificate}.both`;
    if (tls !== null)
      writeFileSync(both, readFileSync(tls.certificate, "utf8") + readFileSync(tls.key, "utf8"));
    const certificate = "bind :443 ssl crt /etc/haproxy/certs/chat.pem";
    return startHaproxy(
      replace(text, {
        "app1:8000": `127.0.0.1:${one}`,
        "app2:8000": `127.0.0.1:${two}`,
        // As many as the tests may have open files.
        "maxconn 100000": "maxconn 1000",
        "hdr Host chat.example.org": "hdr Host localhost",
        [certificate]: tls === null ? "bind 127.0.0.1:PORT" : `bind 127.0.0.1:PORT ssl crt ${both}`,
      }),
    );
  },
};

/** Replaces what must be there. */
function replace(text: string, by: Readonly<Record<string, string>>): string {
  return Object.entries(by).reduce((replaced, [from, to]) => {
    expect(replaced).toContain(from);
    return replaced.replaceAll(from, to);
  }, text);
}

async function startTwo(
  env: Record<string, string> = {},
): Promise<{ redis: string; servers: [ServeProcess, ServeProcess] }> {
  const redis = await startRedisServer();
  onDispose(redis.dispose);
  const start = async (): Promise<ServeProcess> => {
    const server = await startServe({
      env: { REDIS_URL: redis.url, ROOMCAST_TRUST_PROXY: "127.0.0.1", ...env },
    });
    onDispose(server.dispose);
    return server;
  };
  return { redis: redis.url, servers: [await start(), await start()] };
}

function portsOf([one, two]: readonly [ServeProcess, ServeProcess]): readonly [number, number] {
  return [one.port, two.port];
}

/** How many connections a server has. */
async function countOf(server: ServeProcess): Promise<number> {
  const response = await fetch(`${server.url}/health/websocket`);
  const { local_connections }: { local_connections: number } = JSON.parse(await response.text());
  return local_connections;
}

describe.each(Object.entries(PROXIES))("behind %s", (_name, startProxy) => {
  test("TLS ends at the proxy; both instances are used, and know from where clients come", async () => {
    const { servers } = await startTwo({ ROOMCAST_LOG_LEVEL: "debug" });
    const tls = makeCertificate("DNS:localhost");
    onDispose(tls.dispose);
    const proxy = await startProxy({ ports: portsOf(servers), tls });
    onDispose(proxy.dispose);
    const open = async (user: string, localAddress: string): Promise<WebSocket> => {
      const socket = new WebSocket(`wss://localhost:${proxy.port}/ws?user=${user}`, {
        ca: readFileSync(tls.certificate),
        localAddress,
        // The page is of this very host, and says so.
        origin: `https://localhost:${proxy.port}`,
        headers: { "X-Forwarded-For": "203.0.113.66" },
        family: 4,
      });
      onDispose(() => socket.terminate());
      await once(socket, "open");
      return socket;
    };
    const sockets = [await open("alice", "127.0.0.21"), await open("bob", "127.0.0.22")];
    expect(await Promise.all(servers.map(countOf))).toEqual([1, 1]);
    // What is said in the one is heard in the other.
    for (const socket of sockets) {
      const joined = hears(socket, '"joined"');
      socket.send('{"type":"join","room":"lobby"}');
      await joined;
    }
    const heard = sockets.map((socket) => hears(socket, "hello"));
    sockets[0]?.send('{"type":"room_message","room":"lobby","data":"hello"}');
    await Promise.all(heard);
    const logs = servers.map((server) => server.output()).join();
    expect(logs).toMatch(/"user":"alice","address":"127\.0\.0\.21"/);
    expect(logs).toMatch(/"user":"bob","address":"127\.0\.0\.22"/);
    expect(logs).not.toContain("203.0.113.66");
  });

  test("an instance drains and is replaced, and the proxy reloads: clients move, nothing is lost", async () => {
    const { redis, servers } = await startTwo();
    const proxy = await startProxy({ ports: portsOf(servers), tls: null });
    onDispose(proxy.dispose);
    const manager = new ConnectionManager({
      backplane: redisBackplane({ url: redis }),
      rooms: ROOMS,
    });
    await manager.start();
    onDispose(() => manager.stop());
    const url = `ws://localhost:${proxy.port}/ws`;
    const clients = Array.from(
      { length: 30 },
      (_, i) => new ReturningClient(`${url}?user=u${i}`, ROOM, true),
    );
    onDispose(() => {
      for (const client of clients) client.stop();
    });
    for (const client of clients) await client.until(() => client.isIn);
    const publisher = new Publisher(manager);
    const [first, second] = servers;
    await first.stop();
    for (const client of clients) await client.until(() => client.isIn);
    expect(await countOf(second)).toBe(30);
    const moved = clients.flatMap((client) => client.returns).length;
    expect(moved).toBeGreaterThan(0);
    await proxy.reload();
    const late = new ReturningClient(`${url}?user=late`, ROOM, true);
    onDispose(() => late.stop());
    await late.until(() => late.isIn);
    await publisher.stop();
    const last = publisher.acknowledged.at(-1);
    for (const client of clients) {
      await client.until(() => client.ids.at(-1) === last);
      expect(client.faults).toEqual([]);
      expect(client.texts).toEqual(publisher.texts);
    }
    // A reload cuts nobody off.
    expect(clients.flatMap((client) => client.returns).length).toBe(moved);
  });
});

test("a connection that says nothing outlives what proxies give quiet ones by default", async () => {
  const { servers } = await startTwo({ WS_PING_INTERVAL: "none" });
  const proxies = Object.values(PROXIES).map(async (startProxy) => {
    const proxy = await startProxy({ ports: portsOf(servers), tls: null });
    onDispose(proxy.dispose);
    const socket = new WebSocket(`ws://localhost:${proxy.port}/ws?user=quiet`);
    onDispose(() => socket.terminate());
    await once(socket, "open");
    const closed = once(socket, "close").then(() => "closed");
    // NGINX: 60 s; HAProxy: the 30 s of its configuration, but for tunnels.
    expect(await Promise.race([closed, wait(62_000, "still there")])).toBe("still there");
    const pong = once(socket, "pong");
    socket.ping();
    await pong;
  });
  await Promise.all(proxies);
});

/** Resolves when a message with these words came. */
function hears(socket: WebSocket, words: string): Promise<void> {
  return new Promise((resolve) => {
    socket.on("message", (data) => String(data).includes(words) && resolve());
  });
}
