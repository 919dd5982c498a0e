import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type Authenticator,
  type JwtAuthenticatorOptions,
  jwtAuthenticator,
} from "../../src/auth.ts";
import { jwk, type KeySetServer, keySetServer } from "../support/key-set-server.ts";
import {
  ask,
  base64url,
  ed25519,
  jwt,
  type KeyPair,
  NOW,
  p256,
  p384,
  pem,
  rsa,
} from "../support/tokens.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

let issuer: KeySetServer;
let time: number;
let authenticate: Authenticator;

beforeEach(async () => {
  issuer = await keySetServer(jwk(p256.publicKey, { kid: "first" }));
  time = NOW * SECOND;
  authenticate = authenticator();
});

afterEach(() => issuer.stop());

function authenticator(options: Partial<JwtAuthenticatorOptions> = {}): Authenticator {
  return jwtAuthenticator({ jwksUrl: issuer.url, now: () => time, ...options });
}

/** A token that is still good in two days, when the tests are long over. */
function token(alg: string, { privateKey }: KeyPair, kid?: string): string {
  return jwt({ alg, kid }, { sub: "alice", exp: NOW + 172_800 }, privateKey);
}

const first = (): string => token("ES256", p256, "first");
const second = (): string => token("EdDSA", ed25519, "second");
const unknown = (): string => token("ES256", p256, "unknown");

const alice = expect.objectContaining({ id: "alice", via: "jwt" });
const fault = expect.objectContaining({ name: "WebSocketError", code: "keys_unavailable" });

describe("a key set at a URL", () => {
  test("is not asked for before the first token", async () => {
    expect(issuer.requests).toBe(0);
    expect(await ask(authenticate, first())).toEqual(alice);
    expect(issuer.requests).toBe(1);
  });

  test("is fetched once for all who come at the same time", async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(authenticate, first())));
    expect(answers).toEqual(Array(50).fill(alice));
    expect(issuer.requests).toBe(1);
  });

  test("is kept for ten minutes and then fetched anew", async () => {
    await ask(authenticate, first());
    time += 10 * MINUTE - 1;
    expect(await ask(authenticate, first())).toEqual(alice);
    expect(issuer.requests).toBe(1);
    time += 1;
    expect(await ask(authenticate, first())).toEqual(alice);
    expect(issuer.requests).toBe(2);
  });

  test("takes in a new key when the first token signed with it comes", async () => {
    await ask(authenticate, first());
    issuer.keys.push(jwk(ed25519.publicKey, { kid: "second" }));
    time += 30 * SECOND;
    expect(await ask(authenticate, second())).toEqual(alice);
    expect(await ask(authenticate, first())).toEqual(alice);
    expect(issuer.requests).toBe(2);
  });

  test("forgets a key the issuer took back, within ten minutes", async () => {
    await ask(authenticate, first());
    issuer.keys = [jwk(ed25519.publicKey, { kid: "second" })];
    time += 10 * MINUTE;
    expect(await ask(authenticate, first())).toBeNull();
    time += 30 * SECOND;
    expect(await ask(authenticate, second())).toEqual(alice);
  });

  test("trusts nobody once the issuer has taken back all keys", async () => {
    await ask(authenticate, first());
    issuer.keys = [];
    time += 10 * MINUTE;
    expect(await ask(authenticate, first())).toBeNull();
  });

  test("is fetched at most once in 30 seconds, however many unknown keys strangers name", async () => {
    await ask(authenticate, first());
    for (let i = 0; i < 100; i++) {
      expect(await ask(authenticate, token("ES256", p256, `unknown${i}`))).toBeNull();
    }
    expect(issuer.requests).toBe(1);
    time += 30 * SECOND;
    for (let i = 0; i < 100; i++) {
      expect(await ask(authenticate, token("ES256", p256, `unknown${i}`))).toBeNull();
    }
    expect(issuer.requests).toBe(2);
  });

  test("is not asked about what no key of it can have signed", async () => {
    const secret = "a secret of more than thirty-two bytes, for tests";
    const claims = { sub: "alice", exp: NOW + 60 };
    expect(await ask(authenticate, jwt({ alg: "HS256" }, claims, secret))).toBeNull();
    expect(await ask(authenticate, jwt({ alg: "none" }, claims, secret, "HS256"))).toBeNull();
    expect(await ask(authenticate, "garbage")).toBeNull();
    expect(await ask(authenticate, `${first()}.AAAA.AAAA`)).toBeNull();
    const onlyRsa = authenticator({ algorithms: ["RS256"] });
    expect(await ask(onlyRsa, first())).toBeNull();
    expect(issuer.requests).toBe(0);
  });

  test("may hold several keys without names, which are tried in turn", async () => {
    issuer.keys = [p384, p256, rsa, ed25519].map(({ publicKey }) => jwk(publicKey));
    expect(await ask(authenticate, token("ES256", p256))).toEqual(alice);
    expect(await ask(authenticate, token("RS256", rsa, "any"))).toEqual(alice);
  });

  test("may hold members that are of no use here, which are passed over", async () => {
    issuer.keys = [
      null,
      7,
      "-----BEGIN PUBLIC KEY-----",
      [],
      {},
      { kty: "oct", k: base64url("a secret of more than thirty-two bytes"), kid: "first" },
      { kty: "EC", crv: "P-256", kid: "first" },
      jwk(p256.publicKey, { kid: "first", use: "enc" }),
      jwk(p256.privateKey, { kid: "first" }),
      jwk(p256.publicKey, { kid: "first", use: "sig", key_ops: ["verify"], alg: "ES256" }),
    ];
    expect(await ask(authenticate, first())).toEqual(alice);
  });

  test("gives no key in another form than a JWK", async () => {
    issuer.keys = [pem(p256.publicKey)];
    expect(await ask(authenticate, token("ES256", p256))).toBeNull();
  });

  test("gives no key that is published together with its private half", async () => {
    issuer.keys = [jwk(p256.privateKey, { kid: "first" })];
    expect(await ask(authenticate, first())).toBeNull();
  });

  test("lets each key verify by its own algorithm only", async () => {
    issuer.keys = [jwk(rsa.publicKey, { kid: "a", alg: "PS256" })];
    expect(await ask(authenticate, token("PS256", rsa, "a"))).toEqual(alice);
    expect(await ask(authenticate, token("RS256", rsa, "a"))).toBeNull();
  });
});

describe("when the issuer cannot be reached", () => {
  test("at first, the check fails, and it recovers within a second of the issuer", async () => {
    await issuer.stop();
    await expect(ask(authenticate, first())).rejects.toEqual(fault);
    await issuer.start();
    await expect(ask(authenticate, first())).rejects.toEqual(fault);
    expect(issuer.requests).toBe(0);
    time += SECOND;
    expect(await ask(authenticate, first())).toEqual(alice);
  });

  test("later, known keys go on being used for a day, and then the check fails", async () => {
    await ask(authenticate, first());
    await issuer.stop();
    time += 10 * MINUTE;
    expect(await ask(authenticate, first())).toEqual(alice);
    time += 24 * HOUR - 10 * MINUTE - 1;
    expect(await ask(authenticate, first())).toEqual(alice);
    time += 1;
    await expect(ask(authenticate, first())).rejects.toEqual(fault);
    await issuer.start();
    time += SECOND;
    expect(await ask(authenticate, first())).toEqual(alice);
  });

  test("a token with an unknown key is a fault, for it may be good", async () => {
    await ask(authenticate, first());
    await issuer.stop();
    time += 30 * SECOND;
    await expect(ask(authenticate, unknown())).rejects.toEqual(fault);
    expect(await ask(authenticate, first())).toEqual(alice);
    await issuer.start();
    time += SECOND;
    expect(await ask(authenticate, unknown())).toBeNull();
  });

  test("and is slow, the check fails at its time limit and not later", async () => {
    issuer.answer = () => {};
    const impatient = authenticator({ jwks: { timeoutMs: 50 } });
    await expect(ask(impatient, first())).rejects.toEqual(fault);
  });

  test("and stops in the middle of its answer, the same time limit holds", async () => {
    issuer.answer = (_request, response) => response.write('{"keys":[');
    const impatient = authenticator({ jwks: { timeoutMs: 50 } });
    await expect(ask(impatient, first())).rejects.toEqual(fault);
  });

  test("and hangs, those with known keys do not wait for it", async () => {
    const patient = authenticator({ jwks: { timeoutMs: 3_600_000 } });
    await ask(patient, first());
    issuer.answer = (_request, response) => response.destroy();
    time += 10 * MINUTE;
    expect(await ask(patient, first())).toEqual(alice);
    time += SECOND;
    const asked = new Promise<void>((resolve) => {
      issuer.answer = () => resolve();
    });
    expect(await ask(patient, first())).toEqual(alice);
    await asked;
  });

  const bad: Record<string, KeySetServer["answer"]> = {
    "is a page": (_request, response) => response.end("<html>Please log in</html>"),
    "is empty": (_request, response) => response.end(),
    "is null": (_request, response) => response.end("null"),
    "is a list": (_request, response) => response.end("[]"),
    "is an object without keys": (_request, response) => response.end("{}"),
    "has keys that are no list": (_request, response) => response.end('{"keys":{}}'),
    "has no content": (_request, response) => response.writeHead(204).end(),
    "is an error": (_request, response) => {
      response.writeHead(500).end(JSON.stringify({ keys: issuer.keys }));
    },
    "says it is partial": (_request, response) => {
      response.writeHead(206).end(JSON.stringify({ keys: issuer.keys }));
    },
    "is cut off": (_request, response) => {
      response.writeHead(200, { "content-length": "1000" });
      response.write('{"keys":[]');
      response.destroy();
    },
    "is larger than 256 KiB": (_request, response) => {
      response.end(JSON.stringify({ keys: issuer.keys, pad: "x".repeat(256 * 1024) }));
    },
  };
  for (const [what, answer] of Object.entries(bad)) {
    test(`because its answer ${what}, known keys are kept and unknown ones are a fault`, async () => {
      await ask(authenticate, first());
      issuer.answer = answer;
      time += 30 * SECOND;
      await expect(ask(authenticate, unknown())).rejects.toEqual(fault);
      expect(await ask(authenticate, first())).toEqual(alice);
    });
  }

  test("because its answer never ends, no more than 256 KiB of it are read", async () => {
    const chunk = "x".repeat(16 * 1024);
    let sent = 0;
    const closed = new Promise<void>((resolve) => {
      issuer.answer = (_request, response) => {
        const pump = (): void => {
          do sent += chunk.length;
          while (response.write(chunk));
        };
        response.on("drain", pump).on("close", resolve);
        pump();
      };
    });
    await expect(ask(authenticate, first())).rejects.toEqual(fault);
    await closed;
    // What lies in the buffers of two sockets is sent, but not read.
    expect(sent).toBeLessThan(32 * 1024 * 1024);
  });

  test("because its answer leads elsewhere, nobody goes there", async () => {
    const elsewhere = await keySetServer(jwk(p256.publicKey, { kid: "first" }));
    try {
      issuer.answer = (_request, response) => {
        response.writeHead(302, { location: elsewhere.url }).end();
      };
      await expect(ask(authenticate, first())).rejects.toEqual(fault);
      expect(elsewhere.requests).toBe(0);
    } finally {
      await elsewhere.stop();
    }
  });

  test("the fault names the address without its query, and what happened", async () => {
    await issuer.stop();
    const secretive = authenticator({ jwksUrl: new URL(`${issuer.url}?key=hunter2`) });
    const error: unknown = await ask(secretive, first()).catch((reason) => reason);
    expect(error).toHaveProperty("message", `The key set at ${issuer.url} could not be fetched.`);
    expect(error).toHaveProperty("cause", expect.any(Error));
    await issuer.start();
  });
});

describe("the times of a key set", () => {
  test("can be set", async () => {
    const jwks = { cacheMs: 100, maxStaleMs: 500, cooldownMs: 10, retryMs: 20 };
    const short = authenticator({ jwks });
    await ask(short, first());
    time += 10;
    expect(await ask(short, unknown())).toBeNull();
    expect(issuer.requests).toBe(2);
    time += 100;
    await ask(short, first());
    expect(issuer.requests).toBe(3);
    issuer.answer = (_request, response) => response.destroy();
    time += 499;
    expect(await ask(short, first())).toEqual(alice);
    time += 1;
    await expect(ask(short, first())).rejects.toEqual(fault);
    expect(issuer.requests).toBe(4);
    time += 20;
    await expect(ask(short, first())).rejects.toEqual(fault);
    expect(issuer.requests).toBe(5);
  });

  for (const name of ["cacheMs", "maxStaleMs", "cooldownMs", "retryMs", "timeoutMs"]) {
    for (const value of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      test(`must be whole milliseconds: ${name} is ${value}`, () => {
        expect(() => authenticator({ jwks: { [name]: value } })).toThrow(
          new RangeError(`jwks.${name} is ${value}; it must be a whole number, 0 or more.`),
        );
      });
    }
  }
});
