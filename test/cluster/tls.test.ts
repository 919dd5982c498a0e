import { readFileSync } from "node:fs";
import { createClient } from "@redis/client";
import { expect, test } from "vitest";
import { type Certificate, makeCertificate } from "../support/certificate.ts";
import { type ClusterInstance, startInstance } from "../support/cluster.ts";
import { useDisposals } from "../support/disposals.ts";
import { freePort } from "../support/free-port.ts";
import { startRedisServer } from "../support/redis-server.ts";

const onDispose = useDisposals();
const SLOTS = 16_384;

function certificateFor(...names: string[]): Certificate {
  const certificate = makeCertificate(...names);
  onDispose(certificate.dispose);
  return certificate;
}

/** A server that takes nothing but TLS. */
async function startRedis(certificate: Certificate, config: readonly string[]): Promise<number> {
  const port = await freePort();
  const server = await startRedisServer({
    port,
    config: [...certificate.redisConfig(port), ...config],
  });
  onDispose(server.dispose);
  return port;
}

/** A process that trusts the certificate. */
async function start(url: string, { certificate }: Certificate): Promise<ClusterInstance> {
  const instance = await startInstance(url, "a", 15_000, { NODE_EXTRA_CA_CERTS: certificate });
  onDispose(instance.kill);
  return instance;
}

async function hears(instance: ClusterInstance): Promise<void> {
  const client = await instance.connect("alice");
  client.send("join room");
  expect(await client.next()).toBe("done join room");
  client.send("say room");
  expect(await client.next()).toBe("said");
  client.socket.terminate();
}

test("TLS, user and password by URL", async () => {
  const certificate = certificateFor("DNS:localhost");
  const port = await startRedis(certificate, ["user app on >p%w allkeys allchannels allcommands"]);
  const instance = await start(`rediss://app:p%25w@localhost:${port}`, certificate);
  await instance.printed(/status healthy/);
  await hears(instance);
});

test("a certificate that names another address is told, with what to do", async () => {
  const certificate = certificateFor("DNS:elsewhere.example");
  const port = await startRedis(certificate, []);
  const instance = await start(`rediss://localhost:${port}`, certificate);
  await instance.printed(/The certificate of a Redis server does not name the address/);
});

/** A Cluster of one node that holds every slot. */
async function startCluster(
  certificate: Certificate,
  config: readonly string[] = [],
): Promise<number> {
  const port = await startRedis(certificate, [
    "cluster-enabled yes",
    `cluster-port ${await freePort()}`,
    "cluster-announce-ip 127.0.0.1",
    "cluster-require-full-coverage no",
    "tls-cluster yes",
    ...config,
  ]);
  const ca = readFileSync(certificate.certificate);
  const client = createClient({ socket: { tls: true, host: "localhost", port, ca } });
  await client.connect();
  await client.sendCommand(["CLUSTER", "ADDSLOTSRANGE", "0", String(SLOTS - 1)]);
  client.destroy();
  return port;
}

test("nodes of a Cluster that announce addresses their certificates do not name are told, with what to do", async () => {
  const certificate = certificateFor("DNS:localhost");
  const port = await startCluster(certificate);
  const url = `rediss://localhost:${port}`;
  const instance = await start(`${url},${url}`, certificate);
  await instance.printed(/cluster-announce-hostname, and cluster-preferred-endpoint-type hostname/);
});

test("nodes of a Cluster that announce the names in their certificates are used", async () => {
  const certificate = certificateFor("DNS:localhost");
  const port = await startCluster(certificate, [
    "cluster-announce-hostname localhost",
    "cluster-preferred-endpoint-type hostname",
  ]);
  const url = `rediss://localhost:${port}`;
  const instance = await start(`${url},${url}`, certificate);
  await instance.printed(/status healthy/);
  await hears(instance);
});
