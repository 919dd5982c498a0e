import { generateKeyPairSync } from "node:crypto";
import { handshake } from "../../support/raw-handshake.ts";
import { base64url, jwt, pem, rsa } from "../../support/tokens.ts";
import type { Case, Family } from "../family.ts";
import { SECRET, Target } from "../target.ts";

const HS256 = { alg: "HS256" };
const now = Math.floor(Date.now() / 1000);
const good = { sub: "mallory", exp: now + 3600 };
const real = jwt(HS256, good, SECRET);
const [head = "", body = "", signature = ""] = real.split(".");
const unsigned = (header: object): string => `${base64url(JSON.stringify(header))}.${body}.`;
const signed = (claims: unknown): string => jwt(HS256, claims, SECRET);
const headed = (header: Readonly<Record<string, unknown>>): string =>
  jwt(header, good, SECRET, "HS256");
const other = generateKeyPairSync("ed25519");

/** Each signed with the secret, or made to look as if. */
const FORGED: Readonly<Record<string, string>> = {
  none: unsigned({ alg: "none" }),
  "none, differently written": unsigned({ alg: "NoNe" }),
  "none, with a signature": `${base64url('{"alg":"none"}')}.${body}.${signature}`,
  "no algorithm": unsigned({}),
  "an empty algorithm": unsigned({ alg: "" }),
  "a list of algorithms": unsigned({ alg: ["HS256"] }),
  "an algorithm that cannot be made text": unsigned({ alg: { toString: 1 } }),
  "no signature": `${head}.${body}.`,
  "no signature, no dot": `${head}.${body}`,
  "a signature that is cut": real.slice(0, -2),
  "a signature that is longer": `${real}AAAA`,
  "another's signature": `${head}.${body}.${base64url("x".repeat(32))}`,
  "a signature of zeros": `${head}.${body}.${base64url(Buffer.alloc(32))}`,
  "a changed body": `${head}.${base64url(JSON.stringify({ ...good, sub: "admin" }))}.${signature}`,
  "another secret": jwt(HS256, good, `${SECRET}x`),
  "an empty secret": jwt(HS256, good, ""),
  "HS384 with the secret": jwt({ alg: "HS384" }, good, SECRET),
  "HS512 with the secret": jwt({ alg: "HS512" }, good, SECRET),
  RS256: jwt({ alg: "RS256" }, good, rsa.privateKey),
  PS256: jwt({ alg: "PS256" }, good, rsa.privateKey),
  "a public key as the secret": jwt(HS256, good, pem(rsa.publicKey)),
  EdDSA: jwt({ alg: "EdDSA" }, good, other.privateKey),
  "a key in the header": headed({
    alg: "HS256",
    jwk: { kty: "oct", k: base64url("x") },
    crit: ["jwk"],
  }),
  "a critical header nobody understands": headed({ alg: "HS256", crit: ["x"], x: 1 }),
  "an empty list of critical headers": headed({ alg: "HS256", crit: [] }),
  "a header that claims RS256": headed({ alg: "RS256" }),
  "a body that is not encoded": headed({ alg: "HS256", b64: false, crit: ["b64"] }),
  expired: signed({ ...good, exp: now - 3600 }),
  "expired in 1970": signed({ ...good, exp: 1 }),
  "no expiry": signed({ sub: "mallory" }),
  "an expiry that is text": signed({ ...good, exp: String(now + 3600) }),
  "an expiry that is null": signed({ ...good, exp: null }),
  "an expiry that is true": signed({ ...good, exp: true }),
  "an expiry that is a list": signed({ ...good, exp: [now + 3600] }),
  "an expiry that cannot be made a number": signed({ ...good, exp: { valueOf: 1 } }),
  "not valid yet": signed({ ...good, nbf: now + 3600 }),
  "a beginning that is text": signed({ ...good, nbf: "now" }),
  "no subject": signed({ exp: good.exp }),
  "an empty subject": signed({ ...good, sub: "" }),
  "a subject that is null": signed({ ...good, sub: null }),
  "a subject that is true": signed({ ...good, sub: true }),
  "a subject that is a list": signed({ ...good, sub: ["admin"] }),
  "a subject that cannot be made text": signed({ ...good, sub: { toString: 1 } }),
  "scopes that are a number": signed({ ...good, scope: 1 }),
  "scopes that are an object": signed({ ...good, scopes: {} }),
  "a scope that cannot be made text": signed({ ...good, scopes: [{ toString: 1 }] }),
  "a body that is a list": signed([good]),
  "a body that is null": signed(null),
  "a body that is text": jwt(HS256, '"x"', SECRET),
  "a body that is no JSON": jwt(HS256, "{", SECRET),
  "a body that is empty": jwt(HS256, "", SECRET),
  "a header that is no JSON": jwt("{", good, SECRET),
  "a header that is null": jwt("null", good, SECRET),
  "a header that is a list": jwt("[]", good, SECRET),
  "four parts": `${real}.x`,
  "five parts, as if encrypted": `${head}..x.${body}.${signature}`,
  "one part": head,
  dots: "..",
  "many dots": ".".repeat(1000),
  garbage: "garbage",
  "a NUL": "%00",
  "an e-mail": "admin@example.org",
  JSON: '{"sub":"admin"}',
  SQL: "'%20OR%201=1--",
  "a path": "../../etc/passwd",
  "eight KiB": "x".repeat(8192),
  "more than eight KiB": "x".repeat(8193),
  "a real one with more than eight KiB of claims": signed({ ...good, x: "x".repeat(9000) }),
  "another alphabet": `${real.replaceAll("-", "+").replaceAll("_", "/")}=`,
  "the API key": "0123456789abcdef0123456789abcdef",
  "the secret": base64url(SECRET),
  undefined: "undefined",
  null: "null",
  true: "true",
};

const PLACES: Readonly<
  Record<string, (token: string) => [string, Readonly<Record<string, string>>]>
> = {
  "the query": (token) => [`/ws?token=${encodeURIComponent(decoded(token))}`, {}],
  Authorization: (token) => ["/ws", { Authorization: `Bearer ${token}` }],
  "X-API-Key": (token) => ["/ws", { "X-API-Key": token }],
};

function decoded(token: string): string {
  return token.includes("%") ? decodeURIComponent(token) : token;
}

function present(
  name: string,
  carried: [string, Readonly<Record<string, string | readonly string[]>>],
  status: number,
): Case {
  return {
    name,
    answer: status,
    run: async (target) => {
      const client = await target.raw();
      client.write(handshake(carried[0], carried[1]));
      return (await client.answer())?.status;
    },
  };
}

const forged = Object.entries(FORGED).flatMap(([name, token]) =>
  Object.entries(PLACES).map(([place, carry]) =>
    present(`${name}, in ${place}`, carry(token), 401),
  ),
);

const places: Case[] = [
  present("none at all", ["/ws", {}], 401),
  present("a blank one", ["/ws?token=", { Authorization: "Bearer " }], 401),
  present("two that differ, in the query", [`/ws?token=${real}&token=x`, {}], 400),
  present(
    "two that differ, in the query and a header",
    [`/ws?token=${real}`, { Authorization: "Bearer x" }],
    400,
  ),
  present(
    "two that differ, in two headers",
    ["/ws", { Authorization: `Bearer ${real}`, "X-API-Key": "x" }],
    400,
  ),
  present(
    "two Authorization headers",
    ["/ws", { Authorization: [`Bearer ${real}`, "Bearer x"] }],
    400,
  ),
  present("another scheme", ["/ws", { Authorization: `Basic ${real}` }], 401),
  present("a scheme that begins alike", ["/ws", { Authorization: `Bearer2 ${real}` }], 401),
  present("no gap", ["/ws", { Authorization: `Bearer${real}` }], 401),
  present("a cookie", ["/ws", { Cookie: `token=${real}` }], 401),
  present("a name of development mode", ["/ws?user=admin", {}], 401),
  present("another name in the query", [`/ws?access_token=${real}`, {}], 401),
  present("behind a hash", [`/ws?x#&token=${real}`, {}], 401),
];

export const tokens: Family = {
  name: "tokens",
  tried:
    "tokens that are forged, expired, cut, unsigned, signed by somebody else or for another algorithm, with claims of wrong types, in each place a token may be; two at once",
  answered: "401, the same for every cause; 400 for two that differ",
  start: () => Target.start({ tokens: true }),
  cases: [...forged, ...places],
};
