const BASE_MS = 1_000;
const MAX_MS = 30_000;
const JITTER = 0.5;

/** In a row, before a server that fails each time is left alone. */
const SERVER_FAULTS = 5;

/** How long a user's place stays taken after a connection of theirs is lost. */
const LEASE_MS = 15_000;

export type NextStep = { retryInMs: number } | { stop: string };

export interface Lost {
  /** The close code (RFC 6455, 7.4). */
  code: number;
  /** Which attempt comes next, counted from the last stable connection; 1 is the first. */
  attempt: number;
  /** The window over which the server wants its clients to come back, if it gave one. */
  spreadMs?: number;
  /** 0 to 1; passed in so that this stays a function of its arguments. */
  random: number;
}

const FINAL: Readonly<Record<number, string>> = {
  1000: "The connection was closed.",
  1002: "The server did not understand this page.",
  1003: "The server does not take this kind of message.",
  1007: "The server could not read a message.",
  1008: "The server closed the connection for breaking its rules.",
  1009: "A message was too large.",
  1010: "The server and this page have no protocol in common.",
  4401: "Your access has expired. Sign in again.",
  4403: "You have no access here.",
  4409: "You are connected somewhere else with the same session.",
};

/** What to do when a connection is lost, by its close code. */
export function afterClose({ code, attempt, spreadMs, random }: Lost): NextStep {
  const final = FINAL[code] ?? (code >= 4500 ? "The server ended this session." : undefined);
  if (final !== undefined) return { stop: final };
  if (code === 1011 && attempt > SERVER_FAULTS) return { stop: "The server keeps failing." };
  if (code === 4008) {
    if (attempt > 1) return { stop: "You have too many connections open." };
    return { retryInMs: LEASE_MS };
  }
  if (spreadMs) return { retryInMs: spreadMs * random };
  const backoff = Math.min(MAX_MS, BASE_MS * 2 ** (attempt - 1)) * (1 - JITTER * random);
  return { retryInMs: Math.max(backoff, leastWait(code)) };
}

/** An overloaded server, or one we flooded, asks for more time. */
function leastWait(code: number): number {
  if (code === 1013) return 5_000;
  if (code === 4429) return 10_000;
  return 0;
}
