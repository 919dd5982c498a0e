import {
  constants,
  createHmac,
  generateKeyPairSync,
  type KeyObject,
  type SignKeyObjectInput,
  sign,
} from "node:crypto";
import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import type { Authenticator, Principal } from "../../src/auth.ts";

/** Seconds since the epoch at which the tests of tokens take place. */
export const NOW = 1_750_000_000;

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export const rsa: KeyPair = generateKeyPairSync("rsa", { modulusLength: 2048 });
export const p256: KeyPair = generateKeyPairSync("ec", { namedCurve: "P-256" });
export const p384: KeyPair = generateKeyPairSync("ec", { namedCurve: "P-384" });
export const p521: KeyPair = generateKeyPairSync("ec", { namedCurve: "P-521" });
export const ed25519: KeyPair = generateKeyPairSync("ed25519");

export function pem(key: KeyObject): string {
  return key.export({ format: "pem", type: "spki" }).toString();
}

export function base64url(value: string | Uint8Array): string {
  return Buffer.from(value).toString("base64url");
}

/** A token made by hand, so that it can be wrong in every way. Text is taken as it is, the rest as JSON. */
export function jwt(
  header: Readonly<Record<string, unknown>> | string,
  payload: unknown,
  key: string | Uint8Array | KeyObject,
  alg: string = typeof header === "string" ? "HS256" : String(header.alg),
): string {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${base64url(signature(alg, input, key))}`;
}

/** Signs as RFC 7518 section 3 says, independently of the library that verifies. */
function signature(alg: string, input: string, key: string | Uint8Array | KeyObject): Buffer {
  const hash = `sha${alg.slice(2)}`;
  const data = Buffer.from(input);
  if (alg.startsWith("HS")) return createHmac(hash, key).update(data).digest();
  if (typeof key === "string" || key instanceof Uint8Array) throw new TypeError("a key is needed");
  if (alg.startsWith("Ed")) return sign(null, data, key);
  const options: SignKeyObjectInput = { key };
  if (alg.startsWith("ES")) options.dsaEncoding = "ieee-p1363";
  if (alg.startsWith("PS")) {
    options.padding = constants.RSA_PKCS1_PSS_PADDING;
    options.saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
  }
  return sign(hash, data, options);
}

/** What `authenticate` says to a request that carries this token. */
export async function ask(
  authenticate: Authenticator,
  token: string | null,
): Promise<Principal | null> {
  const request = new IncomingMessage(new Socket());
  return authenticate(request, { token, signal: new AbortController().signal });
}

function encode(value: unknown): string {
  return base64url(typeof value === "string" ? value : JSON.stringify(value));
}
