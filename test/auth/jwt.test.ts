import { generateKeyPairSync, sign } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type JwtAuthenticatorOptions, jwtAuthenticator } from "../../src/auth.ts";
import {
  ask,
  base64url,
  ed25519,
  jwt,
  NOW,
  p256,
  p384,
  p521,
  pem,
  rsa,
} from "../support/tokens.ts";

const secret = "a secret of more than thirty-two bytes, for tests";
const another = "another secret of more than thirty-two bytes, too";
const now = (): number => NOW * 1000;

const HS256 = { alg: "HS256", typ: "JWT" };
const alice = { sub: "alice", exp: NOW + 60 };
const good = jwt(HS256, alice, secret);
const [goodHeader, goodPayload, goodSignature] = good.split(".");

interface Case {
  readonly token: string;
  readonly options?: Omit<JwtAuthenticatorOptions, "now">;
}

/** A token with these claims instead of, or besides, the usual ones; undefined leaves one out. */
function claims(changes: Readonly<Record<string, unknown>>): string {
  return jwt(HS256, { ...alice, ...changes }, secret);
}

function check({ token, options = { secret } }: Case) {
  return ask(jwtAuthenticator({ now, ...options }), token);
}

const withKid = (key: typeof rsa, kid: string, more = {}) => ({
  ...key.publicKey.export({ format: "jwk" }),
  kid,
  ...more,
});

describe("a token is accepted", () => {
  const accepted: Record<
    string,
    Case & { readonly principal?: Readonly<Record<string, unknown>> }
  > = {
    "signed with the secret": { token: good },
    "signed with a secret given as bytes": {
      token: good,
      options: { secret: new TextEncoder().encode(secret) },
    },
    "signed with a secret of exactly 32 bytes": {
      token: jwt(HS256, alice, "x".repeat(32)),
      options: { secret: "x".repeat(32) },
    },
    "signed by HS384, where that is asked for": {
      token: jwt({ alg: "HS384" }, alice, secret),
      options: { secret, algorithms: ["HS384"] },
    },
    "signed by HS512, where that is among those asked for": {
      token: jwt({ alg: "HS512" }, alice, secret),
      options: { secret, algorithms: ["HS256", "HS512"] },
    },
    "signed by RS256 (key in PEM)": {
      token: jwt({ alg: "RS256" }, alice, rsa.privateKey),
      options: { publicKey: pem(rsa.publicKey) },
    },
    "signed by RS512, where that is asked for": {
      token: jwt({ alg: "RS512" }, alice, rsa.privateKey),
      options: { publicKey: rsa.publicKey, algorithms: ["RS512"] },
    },
    "signed by PS256, where that is asked for": {
      token: jwt({ alg: "PS256" }, alice, rsa.privateKey),
      options: { publicKey: rsa.publicKey, algorithms: ["PS256"] },
    },
    "signed by PS384, where the JWK says so": {
      token: jwt({ alg: "PS384" }, alice, rsa.privateKey),
      options: { publicKey: withKid(rsa, "a", { alg: "PS384" }) },
    },
    "signed by ES256 (key as KeyObject)": {
      token: jwt({ alg: "ES256" }, alice, p256.privateKey),
      options: { publicKey: p256.publicKey },
    },
    "signed by ES384": {
      token: jwt({ alg: "ES384" }, alice, p384.privateKey),
      options: { publicKey: p384.publicKey },
    },
    "signed by ES512": {
      token: jwt({ alg: "ES512" }, alice, p521.privateKey),
      options: { publicKey: p521.publicKey },
    },
    "signed by EdDSA (key as JWK)": {
      token: jwt({ alg: "EdDSA" }, alice, ed25519.privateKey),
      options: { publicKey: ed25519.publicKey.export({ format: "jwk" }) },
    },
    "signed by EdDSA under its newer name": {
      token: jwt({ alg: "Ed25519" }, alice, ed25519.privateKey),
      options: { publicKey: ed25519.publicKey },
    },

    "signed with the new secret during a rotation": {
      token: jwt(HS256, alice, another),
      options: { secrets: [another, secret] },
    },
    "signed with the old secret during a rotation": {
      token: good,
      options: { secrets: [another, secret] },
    },
    "signed with an old key during a change of algorithm": {
      token: jwt({ alg: "RS256" }, alice, rsa.privateKey),
      options: { publicKeys: [ed25519.publicKey, rsa.publicKey] },
    },
    "signed with the key that its kid names": {
      token: jwt({ alg: "ES256", kid: "new" }, alice, p256.privateKey),
      options: { publicKeys: [withKid(rsa, "old"), withKid(p256, "new")] },
    },
    "without a kid, though the keys have one": {
      token: jwt({ alg: "ES256" }, alice, p256.privateKey),
      options: { publicKeys: [withKid(p256, "a")] },
    },
    "with a kid, though the secret has none": { token: jwt({ ...HS256, kid: "a" }, alice, secret) },
    "with an embedded key, which is ignored": {
      token: jwt({ ...HS256, jwk: p256.publicKey.export({ format: "jwk" }) }, alice, secret),
    },
    "with typ at+jwt": { token: jwt({ alg: "HS256", typ: "at+jwt" }, alice, secret) },
    "with b64 that is not critical, which is then ignored": {
      token: jwt({ ...HS256, b64: false }, alice, secret),
    },

    "with a number as its subject": { token: claims({ sub: 42 }), principal: { id: "42" } },
    "with a negative number as its subject": {
      token: claims({ sub: -1 }),
      principal: { id: "-1" },
    },
    "with zero as its subject": { token: claims({ sub: 0 }), principal: { id: "0" } },
    "with a subject of 256 bytes": {
      token: claims({ sub: "ü".repeat(128) }),
      principal: { id: "ü".repeat(128) },
    },
    "with a subject twice, of which the last one counts": {
      token: jwt(HS256, `{"sub":"mallory","exp":${NOW + 60},"sub":"alice"}`, secret),
    },
    "with an e-mail address": {
      token: claims({ email: "alice@example.org" }),
      principal: { email: "alice@example.org" },
    },
    "with an e-mail address that is none, which is left out": { token: claims({ email: 7 }) },

    "until the last second": {
      token: claims({ exp: NOW + 1 }),
      options: { secret, clockSkewMs: 0 },
      principal: { expiresAt: (NOW + 1) * 1000 },
    },
    "that expires within a second": {
      token: claims({ exp: NOW + 0.25 }),
      principal: { expiresAt: NOW * 1000 + 250 },
    },
    "that expired less than 5 seconds ago": {
      token: claims({ exp: NOW - 4 }),
      principal: { expiresAt: (NOW - 4) * 1000 },
    },
    "that expired less than the allowed skew ago": {
      token: claims({ exp: NOW - 29 }),
      options: { secret, clockSkewMs: 30_000 },
      principal: { expiresAt: (NOW - 29) * 1000 },
    },
    "that expires at the end of time": {
      token: claims({ exp: 8.64e12 }),
      principal: { expiresAt: 8.64e15 },
    },
    "that is valid from now": {
      token: claims({ nbf: NOW }),
      options: { secret, clockSkewMs: 0 },
    },
    "that is valid within the allowed skew": { token: claims({ nbf: NOW + 5 }) },
    "that was issued in the future, which nothing forbids": {
      token: claims({ iat: NOW + 3600 }),
    },

    "from the issuer": {
      token: claims({ iss: "https://issuer" }),
      options: { secret, issuer: "https://issuer" },
    },
    "from one of the issuers": {
      token: claims({ iss: "b" }),
      options: { secret, issuer: ["a", "b"] },
    },
    "from any issuer, where none is asked for": { token: claims({ iss: 7 }) },
    "for the audience": { token: claims({ aud: "chat" }), options: { secret, audience: "chat" } },
    "for the audience among others": {
      token: claims({ aud: ["mail", "chat"] }),
      options: { secret, audience: ["chat", "talk"] },
    },
    "for any audience, where none is asked for": { token: claims({ aud: "mail" }) },

    "with scope": {
      token: claims({ scope: "read write" }),
      principal: { scopes: ["read", "write"] },
    },
    "with scope between too many spaces": {
      token: claims({ scope: "  read   write read " }),
      principal: { scopes: ["read", "write"] },
    },
    "with an empty scope": { token: claims({ scope: "" }), principal: { scopes: [] } },
    "with scopes as a list": {
      token: claims({ scopes: ["read", "write", "read"] }),
      principal: { scopes: ["read", "write"] },
    },
    "with scopes as text": {
      token: claims({ scopes: "read write" }),
      principal: { scopes: ["read", "write"] },
    },
    "with an empty list of scopes": { token: claims({ scopes: [] }), principal: { scopes: [] } },
    "with scope and scopes": {
      token: claims({ scope: "read", scopes: ["write", "read"] }),
      principal: { scopes: ["read", "write"] },
    },
    "with a list in the claim that was asked for": {
      token: claims({ permissions: ["read:all"], scope: 7 }),
      options: { secret, scopesClaim: "permissions" },
      principal: { scopes: ["read:all"] },
    },
    "with text in the claim that was asked for": {
      token: claims({ scp: "read write" }),
      options: { secret, scopesClaim: "scp" },
      principal: { scopes: ["read", "write"] },
    },
    "without the claim that was asked for": {
      token: claims({ scope: "read" }),
      options: { secret, scopesClaim: "scp" },
      principal: { scopes: [] },
    },
  };

  for (const [name, { principal, ...one }] of Object.entries(accepted)) {
    test(name, async () => {
      expect(await check(one)).toEqual({
        id: "alice",
        scopes: [],
        claims: expect.objectContaining({ exp: expect.any(Number) }),
        via: "jwt",
        expiresAt: (NOW + 60) * 1000,
        ...principal,
      });
    });
  }

  test("with everything it says, as the claims of its principal", async () => {
    const said = { ...alice, tenant: { id: 7 }, roles: ["a"], iat: NOW };
    const principal = await check({ token: jwt(HS256, said, secret) });
    expect(principal?.claims).toEqual(said);
  });

  test("with a claim named __proto__, which changes nothing but itself", async () => {
    const payload = `{"sub":"alice","exp":${NOW + 60},"__proto__":{"scope":"admin"}}`;
    const principal = await check({ token: jwt(HS256, payload, secret) });
    expect(principal).toMatchObject({ id: "alice", scopes: [] });
  });

  test("at its size limit of 8 KiB", async () => {
    const size = (pad: number): number => claims({ pad: "x".repeat(pad) }).length;
    let pad = 6000;
    while (size(pad + 1) <= 8192) pad++;
    expect(await check({ token: claims({ pad: "x".repeat(pad) }) })).toMatchObject({ id: "alice" });
    expect(await check({ token: claims({ pad: "x".repeat(pad + 1) }) })).toBeNull();
  });

  test("by the time of the machine, if no other is given", async () => {
    const exp = Math.floor(Date.now() / 1000) + 60;
    const authenticate = jwtAuthenticator({ secret });
    expect(await ask(authenticate, claims({ exp }))).toMatchObject({ id: "alice" });
    expect(await ask(authenticate, claims({ exp: exp - 120 }))).toBeNull();
  });
});

describe("a token is refused", () => {
  const refused: Record<string, Case> = {
    "signed with another secret": { token: jwt(HS256, alice, another) },
    "signed with a secret that was rotated away": { token: good, options: { secrets: [another] } },
    "signed with the right key under the kid of another": {
      token: jwt({ alg: "ES256", kid: "old" }, alice, p256.privateKey),
      options: { publicKeys: [withKid(rsa, "old"), withKid(p256, "new")] },
    },
    "with a kid that no key has": {
      token: jwt({ alg: "ES256", kid: "unknown" }, alice, p256.privateKey),
      options: { publicKeys: [withKid(p256, "known")] },
    },
    "with a kid that is a number": { token: jwt({ ...HS256, kid: 1 }, alice, secret) },
    "with a kid that is a list": { token: jwt({ ...HS256, kid: ["a"] }, alice, secret) },
    "with an empty signature": { token: `${goodHeader}.${goodPayload}.` },
    "with a signature cut short": { token: good.slice(0, -1) },
    "with half a signature": { token: good.slice(0, -20) },
    "with a payload that was changed": {
      token: `${goodHeader}.${base64url(JSON.stringify({ ...alice, sub: "root" }))}.${goodSignature}`,
    },
    "with a header that was changed": {
      token: `${base64url('{"alg":"HS256"}')}.${goodPayload}.${goodSignature}`,
    },

    "with alg none": { token: `${base64url('{"alg":"none"}')}.${goodPayload}.` },
    "with alg NoNe": { token: `${base64url('{"alg":"NoNe"}')}.${goodPayload}.` },
    "with alg none and a signature": {
      token: `${base64url('{"alg":"none"}')}.${goodPayload}.${goodSignature}`,
    },
    "with alg none after alg HS256": {
      token: jwt('{"alg":"HS256","alg":"none"}', alice, secret),
    },
    "without alg": { token: jwt({ typ: "JWT" }, alice, secret, "HS256") },
    "with alg in small letters": { token: jwt({ alg: "hs256" }, alice, secret, "HS256") },
    "with a list as alg": { token: jwt({ alg: ["HS256"] }, alice, secret, "HS256") },
    "with null as alg": { token: jwt({ alg: null }, alice, secret, "HS256") },
    "with an empty alg": { token: jwt({ alg: "" }, alice, secret, "HS256") },
    "with alg __proto__": { token: jwt({ alg: "__proto__" }, alice, secret, "HS256") },
    "signed by HS512 where HS256 is expected": { token: jwt({ alg: "HS512" }, alice, secret) },
    "signed by HS256 where HS512 is expected": {
      token: good,
      options: { secret, algorithms: ["HS512"] },
    },
    "signed by HS256 with a public key in PEM taken as the secret": {
      token: jwt(HS256, alice, pem(rsa.publicKey)),
      options: { publicKey: pem(rsa.publicKey) },
    },
    "signed by HS256 with a public key in DER taken as the secret": {
      token: jwt(HS256, alice, rsa.publicKey.export({ format: "der", type: "spki" })),
      options: { publicKey: rsa.publicKey },
    },
    "signed by RS256 where a secret is expected": {
      token: jwt({ alg: "RS256" }, alice, rsa.privateKey),
    },
    "signed by RS256 but named HS256": {
      token: jwt(HS256, alice, rsa.privateKey, "RS256"),
      options: { publicKey: rsa.publicKey },
    },
    "signed by PS256 where RS256 is usual": {
      token: jwt({ alg: "PS256" }, alice, rsa.privateKey),
      options: { publicKey: rsa.publicKey },
    },
    "signed by RS256 where the JWK says PS256": {
      token: jwt({ alg: "RS256" }, alice, rsa.privateKey),
      options: { publicKey: withKid(rsa, "a", { alg: "PS256" }) },
    },
    "signed by RS512 where RS256 is asked for": {
      token: jwt({ alg: "RS512" }, alice, rsa.privateKey),
      options: { publicKey: rsa.publicKey, algorithms: ["RS256"] },
    },
    "signed by ES256 but named ES384": {
      token: jwt({ alg: "ES384" }, alice, p256.privateKey, "ES256"),
      options: { publicKeys: [p256.publicKey, p384.publicKey] },
    },
    "signed by ES256 with its signature in DER": {
      token: signedInDer({ alg: "ES256" }, alice),
      options: { publicKey: p256.publicKey },
    },
    "with an ES256 signature of zeros": {
      token: `${base64url('{"alg":"ES256"}')}.${goodPayload}.${base64url(new Uint8Array(64))}`,
      options: { publicKey: p256.publicKey },
    },
    "signed with the key it embeds": {
      token: jwt(
        { alg: "ES256", jwk: p256.publicKey.export({ format: "jwk" }) },
        alice,
        p256.privateKey,
      ),
      options: {
        publicKey: generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey,
      },
    },
    "signed with the secret it embeds": {
      token: jwt({ ...HS256, jwk: { kty: "oct", k: base64url(another) } }, alice, another),
    },

    "with a critical header nobody understands": {
      token: jwt({ ...HS256, crit: ["exp"], exp: NOW + 60 }, alice, secret),
    },
    "with an empty list of critical headers": { token: jwt({ ...HS256, crit: [] }, alice, secret) },
    "with a critical header that is no list": {
      token: jwt({ ...HS256, crit: "b64" }, alice, secret),
    },
    "with a payload that is not encoded (b64 false)": {
      token: jwt({ ...HS256, crit: ["b64"], b64: false }, alice, secret),
    },
    "with a b64 that is no boolean": {
      token: jwt({ ...HS256, crit: ["b64"], b64: "no" }, alice, secret),
    },

    "without exp": { token: claims({ exp: undefined }) },
    "with exp as text": { token: claims({ exp: String(NOW + 60) }) },
    "with exp null": { token: claims({ exp: null }) },
    "with exp true": { token: claims({ exp: true }) },
    "with a list as exp": { token: claims({ exp: [NOW + 60] }) },
    "with an object as exp": { token: claims({ exp: { value: NOW + 60 } }) },
    "with exp NaN as text": { token: claims({ exp: "NaN" }) },
    "with a negative exp": { token: claims({ exp: -NOW }) },
    "with exp 0": { token: claims({ exp: 0 }) },
    "with an infinite exp": { token: jwt(HS256, '{"sub":"alice","exp":1e999}', secret) },
    "with exp after the end of time": { token: claims({ exp: 8.64e12 + 1 }) },
    "with exp in microseconds by mistake": { token: claims({ exp: NOW * 1e6 }) },
    "that expired 5 seconds ago": { token: claims({ exp: NOW - 5 }) },
    "that expired just now, if no skew is allowed": {
      token: claims({ exp: NOW }),
      options: { secret, clockSkewMs: 0 },
    },
    "that expired longer than the allowed skew ago": {
      token: claims({ exp: NOW - 30 }),
      options: { secret, clockSkewMs: 30_000 },
    },
    "that is not yet valid": { token: claims({ nbf: NOW + 6 }) },
    "with nbf as text": { token: claims({ nbf: String(NOW - 60) }) },
    "with nbf null": { token: claims({ nbf: null }) },
    "with an infinite nbf": {
      token: jwt(HS256, `{"sub":"alice","exp":${NOW + 60},"nbf":1e999}`, secret),
    },
    "with iat as text": { token: claims({ iat: "yesterday" }) },
    "with a list as iat": { token: claims({ iat: [NOW] }) },

    "without sub": { token: claims({ sub: undefined }) },
    "with an empty sub": { token: claims({ sub: "" }) },
    "with sub null": { token: claims({ sub: null }) },
    "with sub true": { token: claims({ sub: true }) },
    "with a list as sub": { token: claims({ sub: ["alice"] }) },
    "with an object as sub": { token: claims({ sub: { id: "alice" } }) },
    "with a fraction as sub": { token: claims({ sub: 1.5 }) },
    "with a sub so large that it may be its neighbour": {
      token: jwt(HS256, `{"sub":9007199254740993,"exp":${NOW + 60}}`, secret),
    },
    "with an infinite sub": { token: jwt(HS256, `{"sub":1e999,"exp":${NOW + 60}}`, secret) },
    "with a sub of more than 256 bytes": { token: claims({ sub: "ü".repeat(129) }) },
    "with a control character in sub": { token: claims({ sub: "alice\r\nadmin" }) },
    "with a brace in sub": { token: claims({ sub: "{alice}" }) },
    "with half a character in sub": {
      token: jwt(HS256, `{"sub":"\\ud800","exp":${NOW + 60}}`, secret),
    },

    "with a list as scope": { token: claims({ scope: ["read"] }) },
    "with a number as scope": { token: claims({ scope: 1 }) },
    "with scope null": { token: claims({ scope: null }) },
    "with an object as scope": { token: claims({ scope: { read: true } }) },
    "with a number as scopes": { token: claims({ scopes: 1 }) },
    "with scopes null": { token: claims({ scopes: null }) },
    "with an object as scopes": { token: claims({ scopes: { length: 1, 0: "read" } }) },
    "with a number among the scopes": { token: claims({ scopes: ["read", 1] }) },
    "with a list among the scopes": { token: claims({ scopes: [["read"]] }) },
    "with an odd type in the claim that was asked for": {
      token: claims({ scp: 7 }),
      options: { secret, scopesClaim: "scp" },
    },

    "from another issuer": {
      token: claims({ iss: "https://evil" }),
      options: { secret, issuer: "https://issuer" },
    },
    "from nobody, where an issuer is asked for": {
      token: good,
      options: { secret, issuer: "https://issuer" },
    },
    "with a list as issuer": { token: claims({ iss: ["a"] }), options: { secret, issuer: "a" } },
    "from an issuer whose name begins like the right one": {
      token: claims({ iss: "https://issuer.evil" }),
      options: { secret, issuer: "https://issuer" },
    },
    "for another audience": {
      token: claims({ aud: "mail" }),
      options: { secret, audience: "chat" },
    },
    "for nobody, where an audience is asked for": {
      token: good,
      options: { secret, audience: "chat" },
    },
    "for an empty list of audiences": {
      token: claims({ aud: [] }),
      options: { secret, audience: "chat" },
    },
    "with an object as audience": {
      token: claims({ aud: { chat: true } }),
      options: { secret, audience: "chat" },
    },
    "for an audience that only contains the right one": {
      token: claims({ aud: "chatroom" }),
      options: { secret, audience: "chat" },
    },

    "with white space around it": { token: ` ${good} ` },
    "with a line break in it": { token: good.replace(".", ".\n") },
    "with white space in its signature": { token: `${good.slice(0, -4)} ${good.slice(-4)}` },
    "with padding": { token: `${good}=` },
    "with padding in its header": { token: `${goodHeader}=.${goodPayload}.${goodSignature}` },
    "with base64 where base64url is meant": { token: inBase64() },
    "with bits behind its signature": { token: otherSpelling(good) },
    "with one part": { token: "eyJhbGciOiJIUzI1NiJ9" },
    "with two parts": { token: `${goodHeader}.${goodPayload}` },
    "with four parts": { token: `${good}.` },
    "with five parts, as an encrypted one": {
      token: `${base64url('{"alg":"dir","enc":"A128GCM"}')}..AAAA.AAAA.AAAA`,
    },
    "with three empty parts": { token: ".." },
    "with 8,192 empty parts": { token: ".".repeat(8191) },
    "larger than 8 KiB": { token: claims({ pad: "x".repeat(8192) }) },
    "that is empty": { token: "" },
    "that is garbage": { token: "garbage" },
    "that is no ASCII": { token: "ä.ö.ü" },
    "with a header that is no JSON": { token: jwt("alg=HS256", alice, secret) },
    "with a header that is a list": { token: jwt('["HS256"]', alice, secret) },
    "with a header that is null": { token: jwt("null", alice, secret) },
    "with a header that is not UTF-8": {
      token: `${base64url(new Uint8Array([0x7b, 0xff, 0x7d]))}.${goodPayload}.${goodSignature}`,
    },
    "with a payload that is no JSON": { token: jwt(HS256, "sub=alice", secret) },
    "with a payload that is empty": { token: jwt(HS256, "", secret) },
    "with a payload that is a list": { token: jwt(HS256, [alice], secret) },
    "with a payload that is null": { token: jwt(HS256, null, secret) },
    "with a payload that is text": { token: jwt(HS256, '"alice"', secret) },
    "with a payload that is a number": { token: jwt(HS256, 7, secret) },
    "with a payload of 2,000 nested lists": {
      token: jwt(HS256, `${"[".repeat(2000)}${"]".repeat(2000)}`, secret),
    },
  };

  for (const [name, one] of Object.entries(refused)) {
    test(name, async () => {
      expect(await check(one)).toBeNull();
    });
  }

  test("if it is no token at all", async () => {
    expect(await ask(jwtAuthenticator({ secret }), null)).toBeNull();
  });

  test("without anything fetched from the addresses it names", async () => {
    let requests = 0;
    const server = createServer((_request, response) => {
      requests++;
      response.end(JSON.stringify({ keys: [p256.publicKey.export({ format: "jwk" })] }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
      const header = { alg: "ES256", jku: url, x5u: url, kid: url };
      const token = jwt(header, { ...alice, iss: url }, p256.privateKey);
      const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey;
      expect(await check({ token, options: { publicKey: stranger } })).toBeNull();
      expect(requests).toBe(0);
    } finally {
      server.close();
    }
  });
});

describe("whatever a stranger sends as a token", () => {
  const authenticate = jwtAuthenticator({ secret, now });

  test("is refused, and never a fault, if it is any text", async () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 200 }),
      fc.array(fc.base64String(), { minLength: 2, maxLength: 5 }).map((parts) => parts.join(".")),
    );
    await fc.assert(
      fc.asyncProperty(text, async (token) => {
        expect(await ask(authenticate, token)).toBeNull();
      }),
      { numRuns: 500 },
    );
  });

  test("is refused, and never a fault, if header and payload are any JSON and nobody signed it", async () => {
    const header = fc.oneof(
      fc.json(),
      fc
        .record({ alg: fc.constantFrom("HS256", "none", "RS256"), crit: fc.jsonValue() })
        .map(toJson),
    );
    await fc.assert(
      fc.asyncProperty(header, fc.json(), fc.uint8Array(), async (head, payload, bytes) => {
        const token = [head, payload, bytes].map(base64url).join(".");
        expect(await ask(authenticate, token)).toBeNull();
      }),
      { numRuns: 500 },
    );
  });

  test("is judged and never a fault if the issuer signed it, whatever it says", async () => {
    const odd = fc.jsonValue();
    const payload = fc.record(
      {
        sub: fc.oneof(fc.constantFrom("alice", 42), odd),
        exp: fc.oneof(fc.constantFrom(NOW + 60, NOW + 0.5), odd),
        nbf: fc.oneof(fc.constant(NOW), odd),
        scope: fc.oneof(fc.constant("read"), odd),
        scopes: fc.oneof(fc.constant(["write"]), odd),
        email: odd,
      },
      { requiredKeys: ["sub", "exp"] },
    );
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(payload, async (said) => {
        const principal = await ask(authenticate, jwt(HS256, said, secret));
        if (principal === null) return;
        accepted++;
        expect(principal.id).toBe(String(said.sub));
        expect(said.exp).toBeGreaterThan(NOW - 5);
        expect(principal.scopes.every((scope) => typeof scope === "string")).toBe(true);
      }),
      { numRuns: 1000 },
    );
    expect(accepted).toBeGreaterThan(0);
  });
});

describe("what cannot be right is told at once", () => {
  const p256k = generateKeyPairSync("ec", { namedCurve: "secp256k1" }).publicKey;
  const weak = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey;
  const secp = pem(p256k);

  const wrong: Record<string, [JwtAuthenticatorOptions, string]> = {
    "no key at all": [{}, "Exactly one of secret, secrets, publicKey, publicKeys, jwksUrl"],
    "two kinds of keys": [{ secret, jwksUrl: "https://issuer/keys" }, "Exactly one of secret"],
    "an empty list of secrets": [{ secrets: [] }, "secrets must not be empty"],
    "an empty list of public keys": [{ publicKeys: [] }, "publicKeys must not be empty"],
    "a short secret": [{ secret: "x".repeat(31) }, "secret has 31 bytes; at least 32"],
    "a short secret in a list": [{ secrets: [secret, "short"] }, "secrets[1] has 5 bytes"],
    "an empty secret": [{ secret: "" }, "secret has 0 bytes"],
    "a public key as the secret": [{ secret: pem(rsa.publicKey) }, "secret is a key in PEM"],
    "a private key as the public key": [
      { publicKey: rsa.privateKey.export({ format: "pem", type: "pkcs8" }).toString() },
      "publicKey is private",
    ],
    "a private JWK": [{ publicKey: rsa.privateKey.export({ format: "jwk" }) }, "is private"],
    "a private KeyObject": [{ publicKeys: [rsa.privateKey] }, "publicKeys[0] is private"],
    "a public key that is none": [
      { publicKey: "-----BEGIN-----" },
      "publicKey is not a public key",
    ],
    "a secret as a public JWK": [{ publicKey: { kty: "oct", k: "AAAA" } }, "is not a public key"],
    "a weak RSA key": [{ publicKey: pem(weak) }, "publicKey has 1024 bits; at least 2048"],
    "a curve that JWT does not know": [{ publicKey: secp }, "publicKey is a key (secp256k1)"],
    "a key for encryption": [
      { publicKey: withKid(rsa, "a", { use: "enc" }) },
      "publicKey is a key (rsa) that cannot verify",
    ],
    "a key that is not for verifying": [
      { publicKey: withKid(rsa, "a", { key_ops: ["encrypt"] }) },
      "cannot verify",
    ],
    "a key whose uses are no list": [
      { publicKey: withKid(rsa, "a", { key_ops: "verify" }) },
      "cannot verify",
    ],
    "a key whose own algorithm does not fit its type": [
      { publicKey: withKid(rsa, "a", { alg: "ES256" }) },
      "cannot verify",
    ],
    "a key that fits none of the algorithms": [
      { publicKeys: [p256.publicKey, rsa.publicKey], algorithms: ["ES256"] },
      "publicKeys[1] is a key (rsa) that cannot verify signatures by ES256",
    ],
    "HS256 for a public key": [
      { publicKey: rsa.publicKey, algorithms: ["RS256", "HS256"] },
      "algorithms is [RS256,HS256]; with publicKey it may name RS256",
    ],
    "RS256 for a secret": [
      { secrets: [secret], algorithms: ["RS256"] },
      "with secrets it may name HS256, HS384, HS512",
    ],
    "HS256 for keys of a URL": [
      { jwksUrl: "https://issuer/keys", algorithms: ["HS256"] },
      "with jwksUrl it may name RS256",
    ],
    "no algorithm": [{ secret, algorithms: [] }, "algorithms is []"],
    "a URL that is none": [{ jwksUrl: "issuer/keys" }, "jwksUrl must be an absolute https:"],
    "a URL of a file": [{ jwksUrl: new URL("file:///keys") }, "jwksUrl must be an absolute https:"],
    "an empty issuer": [{ secret, issuer: "" }, "issuer must be"],
    "an empty list of audiences": [{ secret, audience: [] }, "audience must be"],
    "an empty text among the audiences": [{ secret, audience: ["a", ""] }, "audience must be"],
  };

  for (const [name, [options, message]] of Object.entries(wrong)) {
    test(name, () => {
      const error = thrownBy(() => jwtAuthenticator(options));
      expect(error).toMatchObject({ name: "ConfigurationError", code: "invalid_configuration" });
      expect(error).toHaveProperty("message", expect.stringContaining(message));
    });
  }

  for (const clockSkewMs of [-1, 30_001, Number.NaN]) {
    test(`a clock skew of ${clockSkewMs}`, () => {
      const error = thrownBy(() => jwtAuthenticator({ secret, clockSkewMs }));
      expect(error).toBeInstanceOf(RangeError);
      expect(error).toHaveProperty("message", expect.stringContaining("clockSkewMs"));
    });
  }

  test("a secret that the environment did not have", () => {
    const secrets = [secret, process.env.ROOMCAST_TEST_NO_SUCH_VARIABLE] as string[];
    const error = thrownBy(() => jwtAuthenticator({ secrets }));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toHaveProperty("message", "secrets[1] must be text or bytes, not undefined.");
  });

  test("and no message shows a secret", () => {
    const error = thrownBy(() => jwtAuthenticator({ secret: "hunter2" }));
    expect(String(error)).not.toContain("hunter2");
  });

  test("but a clock that is broken is a fault of each check", async () => {
    const authenticate = jwtAuthenticator({ secret, now: () => Number.NaN });
    await expect(ask(authenticate, good)).rejects.toThrow(TypeError);
  });
});

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

function toJson(value: unknown): string {
  return JSON.stringify(value);
}

/** As OpenSSL signs by itself; RFC 7518 section 3.4 wants the two numbers side by side. */
function signedInDer(header: object, payload: object): string {
  const input = [header, payload].map(toJson).map(base64url).join(".");
  return `${input}.${base64url(sign("sha256", Buffer.from(input), p256.privateKey))}`;
}

/** A good token whose signature is spelled in base64, with characters that base64url does not have. */
function inBase64(): string {
  for (let i = 0; ; i++) {
    const token = claims({ jti: i });
    if (token.includes("-") || token.includes("_")) {
      return token.replaceAll("-", "+").replaceAll("_", "/");
    }
  }
}

/** The same bytes with other bits behind them: 32 bytes leave two bits of the last letter unused. */
function otherSpelling(token: string): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const last = letters.indexOf(token.slice(-1));
  return token.slice(0, -1) + letters[last + 1];
}
