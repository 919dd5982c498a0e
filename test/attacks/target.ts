import { expect } from "vitest";
import { Client } from "../support/client.ts";
import { clientFrame, handshake, RawClient } from "../support/raw-handshake.ts";
import { type RedisServer, startRedisServer } from "../support/redis-server.ts";
import { type ServeProcess, startServe } from "../support/serve.ts";
import { jwt } from "../support/tokens.ts";

export const SECRET = "a secret that is long enough for HS256";
export const KEY = "0123456789abcdef0123456789abcdef";

/** A token of this server for these claims. */
export function tokenFor(claims: object): string {
  const exp = Math.floor(Date.now() / 1000) + 3600;
  return jwt({ alg: "HS256" }, { exp, ...claims }, SECRET);
}

export interface TargetOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Whether clients need a token. Default false. */
  readonly tokens?: boolean;
  /** Whether it runs on Redis. Default false. */
  readonly redis?: boolean;
}

/** A real `roomcast serve`, and somebody on it who wants to be left alone. */
export class Target {
  readonly server: ServeProcess;
  readonly redis: RedisServer | null;
  readonly #canary: Client;
  readonly #opened: Set<{ dispose(): void }> = new Set();
  #sung = 0;
  #also: () => Promise<void> = async () => {};

  private constructor(server: ServeProcess, redis: RedisServer | null, canary: Client) {
    this.server = server;
    this.redis = redis;
    this.#canary = canary;
  }

  static async start({
    env = {},
    tokens = false,
    redis: onRedis = false,
  }: TargetOptions = {}): Promise<Target> {
    const redis = onRedis ? await startRedisServer() : null;
    const server = await startServe({
      env: {
        ROOMCAST_RATE_LIMIT: "none",
        ...(redis && { REDIS_URL: redis.url }),
        ...(tokens && { JWT_SECRET: SECRET, ROOMCAST_API_KEY: KEY }),
        ...env,
      },
    });
    const who = tokens ? `token=${tokenFor({ sub: "canary" })}` : "user=canary";
    const canary = await Client.connect(`${server.wsUrl}/ws?${who}`);
    canary.send({ type: "join", room: "canary" });
    await canary.nextOfType("joined");
    return new Target(server, redis, canary);
  }

  get port(): number {
    return this.server.port;
  }

  /** A TCP connection, closed after the case. */
  async raw(): Promise<RawClient> {
    return this.#keep(await RawClient.connect(this.port));
  }

  /** A WebSocket whose frames are written byte by byte. */
  async upgraded(
    target = "/ws?user=mallory",
    subprotocol: string | null = null,
  ): Promise<RawClient> {
    const client = await this.raw();
    client.write(handshake(target, { "Sec-WebSocket-Protocol": subprotocol }));
    expect((await client.answer())?.status).toBe(101);
    return client;
  }

  /** A WebSocket in good order; closed after the case, unless it is for all of them. */
  async client(
    query = "user=mallory",
    protocols: readonly string[] = [],
    until: "case" | "keep" = "case",
  ): Promise<Client> {
    const client = await Client.connect(`${this.server.wsUrl}/ws?${query}`, {}, protocols);
    if (until === "case") this.#keep({ dispose: () => client.socket.terminate() });
    return client;
  }

  /** What else is to be done in the end. */
  alsoDispose(work: () => Promise<void>): void {
    this.#also = work;
  }

  /** The answer to a request that is written byte by byte. */
  async request(start: string, headers: Readonly<Record<string, string>> = {}, body = "") {
    const client = await this.raw();
    const length: Record<string, string> =
      body === "" ? {} : { "Content-Length": String(Buffer.byteLength(body)) };
    const all = { Host: "localhost", Connection: "close", ...length, ...headers };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
    client.write(Buffer.from(`${start} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n${body}`));
    return client.answer();
  }

  /**
   * The process lives, and the canary gets what is said in its room. What the case opened is closed first, unless it is
   * to be kept.
   */
  async unharmed(opened: "close" | "keep" = "close"): Promise<void> {
    if (opened === "close") {
      for (const one of this.#opened) one.dispose();
      this.#opened.clear();
    }
    expect(this.server.process.exitCode).toBeNull();
    const song = `song ${++this.#sung}`;
    this.#canary.send({ type: "room_message", room: "canary", data: song });
    // Among whatever else it was sent: text that anybody may publish on Redis is no JSON.
    while (!String(await this.#canary.next()).includes(`"${song}"`));
  }

  async dispose(): Promise<void> {
    this.#canary.socket.terminate();
    await this.#also();
    await this.server.dispose();
    await this.redis?.dispose();
  }

  #keep<T extends { dispose(): void }>(one: T): T {
    this.#opened.add(one);
    return one;
  }
}

/**
 * What comes of what was written to a WebSocket: how it was closed, or, if it is open, the codes of the errors that were
 * told. Pongs overtake messages of the turn they are sent in, so the second one tells.
 */
export async function outcome(
  client: RawClient,
): Promise<{ closed: number | null } | { errors: unknown[] }> {
  client.write(clientFrame(9, "first"));
  const errors: unknown[] = [];
  for (;;) {
    const frame = await client.frame();
    if (frame === null) return { closed: null };
    if (frame.opcode === 8) {
      return { closed: frame.payload.length < 2 ? 1005 : frame.payload.readUInt16BE(0) };
    }
    if (frame.opcode === 10 && frame.payload.toString() === "first") {
      client.write(clientFrame(9, "second"));
    }
    if (frame.opcode === 10 && frame.payload.toString() === "second") return { errors };
    if (frame.opcode === 1) {
      const { type, code } = JSON.parse(frame.payload.toString());
      if (type === "error") errors.push(code);
    }
  }
}
