import { ConfigurationError } from "../protocol/errors.ts";
import { isName, quote } from "../protocol/names.ts";
import { parseFlags, readText } from "./flags.ts";
import { requireJose } from "./identity.ts";
import { readJwtSettings } from "./jwt-settings.ts";

export const TOKEN_HELP = `Usage: roomcast token --user <name> [options]

Prints a token for roomcast serve, signed with JWT_SECRET (HS256), for trying out. With JWT_ISSUER and
JWT_AUDIENCE it carries them too.

Options:
  --user <name>      Whose token it is
  --scopes <list>    What it allows, with commas or spaces between. Default: nothing in particular
  --rooms <list>     The rooms it may join, such as lobby,chat:*. Default: any
  --broadcast        With --rooms: it may speak to everybody all the same
  --ttl <time>       How long it is good: 90s, 30m, 1h, 7d. Default 1h
  --help             Show this
`;

const OPTIONS = {
  user: { type: "string" },
  scopes: { type: "string" },
  rooms: { type: "string" },
  broadcast: { type: "boolean" },
  ttl: { type: "string" },
} as const;

const UNITS: ReadonlyMap<string, number> = new Map([
  ["s", 1],
  ["m", 60],
  ["h", 3600],
  ["d", 86_400],
]);
const MAX_TTL_SECONDS = 366 * 86_400;

/** Prints a token. @throws ConfigurationError naming what is missing or wrong. */
export async function token(args: readonly string[]): Promise<void> {
  const flags = parseFlags("token", args, OPTIONS);
  const settings = readJwtSettings({}, process.env);
  if (settings === null || !("secret" in settings.key)) {
    throw new ConfigurationError(
      "Set JWT_SECRET to the secret of the server (at least 32 bytes; openssl rand -hex 32 makes one).",
    );
  }
  const { user } = flags;
  if (!isName(user)) {
    throw new ConfigurationError(
      "--user must be a name of 1 to 256 bytes without control characters, { or }.",
    );
  }
  const { SignJWT } = await requireJose();
  const scopes = words(readText(flags, {}, "scopes", "")?.value ?? "");
  const rooms = readText(flags, {}, "rooms", "");
  const now = Math.floor(Date.now() / 1000);
  const made = new SignJWT({
    ...(scopes.length > 0 && { scope: scopes.join(" ") }),
    ...(rooms !== null && { rooms: words(rooms.value) }),
    ...(flags.broadcast === true && { broadcast: true }),
  })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(user)
    .setIssuedAt(now)
    .setExpirationTime(now + readTtl(readText(flags, {}, "ttl", "")?.value ?? "1h"));
  if (settings.issuer !== undefined) made.setIssuer(settings.issuer);
  if (settings.audience !== undefined) made.setAudience(settings.audience);
  process.stdout.write(`${await made.sign(Buffer.from(settings.key.secret))}\n`);
}

function readTtl(text: string): number {
  const unit = UNITS.get(text.slice(-1));
  const count = /^\d+$/.test(text.slice(0, -1)) ? Number(text.slice(0, -1)) : 0;
  const seconds = count * (unit ?? 0);
  if (seconds > 0 && seconds <= MAX_TTL_SECONDS) return seconds;
  throw new ConfigurationError(
    `--ttl is ${quote(text)}, but must be a time such as 90s, 30m, 1h or 7d, at most 366d.`,
  );
}

function words(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== "");
}
