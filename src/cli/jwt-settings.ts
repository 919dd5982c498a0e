import { ConfigurationError } from "../protocol/errors.ts";
import { type Flags, readText } from "./flags.ts";

/** How tokens are checked: by a secret shared with whoever makes them, or by keys published at a URL. */
export interface JwtSettings {
  readonly key: { readonly secret: string } | { readonly jwksUrl: string };
  readonly issuer?: string;
  readonly audience?: string;
}

const MIN_SECRET_BYTES = 32;

/**
 * Reads `JWT_SECRET` or `JWKS_URL`, `JWT_ISSUER` and `JWT_AUDIENCE`, or their flags; null if there is no
 * key.
 *
 * @throws ConfigurationError naming what is wrong; never showing a secret.
 */
export function readJwtSettings(flags: Flags, env: NodeJS.ProcessEnv): JwtSettings | null {
  const secret = readText(flags, env, "jwt-secret", "JWT_SECRET");
  const jwksUrl = readText(flags, env, "jwks-url", "JWKS_URL");
  const issuer = readText(flags, env, "jwt-issuer", "JWT_ISSUER");
  const audience = readText(flags, env, "jwt-audience", "JWT_AUDIENCE");
  if (secret !== null && jwksUrl !== null) {
    throw new ConfigurationError(`Give ${secret.name} or ${jwksUrl.name}, not both.`);
  }
  const wanted = {
    ...(issuer !== null && { issuer: issuer.value }),
    ...(audience !== null && { audience: audience.value }),
  };
  if (secret !== null) return { key: { secret: checkSecret(secret) }, ...wanted };
  if (jwksUrl !== null) return { key: { jwksUrl: checkUrl(jwksUrl) }, ...wanted };
  const idle = issuer ?? audience;
  if (idle !== null) {
    throw new ConfigurationError(`${idle.name} has no use without JWT_SECRET or JWKS_URL.`);
  }
  return null;
}

function checkSecret({ name, value }: { name: string; value: string }): string {
  const bytes = Buffer.byteLength(value);
  if (bytes >= MIN_SECRET_BYTES) return value;
  throw new ConfigurationError(
    `${name} has ${bytes} bytes, but must have at least ${MIN_SECRET_BYTES}. Make one with: openssl rand -hex 32`,
  );
}

function checkUrl({ name, value }: { name: string; value: string }): string {
  const protocol = URL.canParse(value) ? new URL(value).protocol : "";
  if (protocol === "https:" || protocol === "http:") return value;
  throw new ConfigurationError(`${name} must be a URL that begins with https:// or http://.`);
}
