const REASONS: Readonly<Record<number, string>> = {
  1000: "The connection was closed.",
  1002: "The server did not understand this page.",
  1003: "The server does not take this kind of message.",
  1007: "The server could not read a message.",
  1008: "The server closed the connection for breaking its rules.",
  1009: "A message was too large.",
  1010: "The server and this page have no protocol in common.",
  1011: "The server keeps failing.",
  4008: "You have too many connections open.",
  4401: "Your access has expired. Sign in again.",
  4403: "You have no access here.",
  4409: "You are connected somewhere else with the same session.",
};

/** Why the client has stopped, for people. */
export function closeReason(code: number): string {
  return REASONS[code] ?? "The server ended this session.";
}
