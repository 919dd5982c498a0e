/** Who uses the page: a name, or a token whose subject is the name. */
export interface Session {
  user: string;
  token?: string;
}

const NAME = "roomcast.name";
const SESSION = "roomcast.session";
const ROOMS = "roomcast.rooms";
const FIRST_ROOM = "lobby";

const encoder = new TextEncoder();

/**
 * @returns why a user or room name is not one the server takes, or undefined
 */
export function nameProblem(name: string): string | undefined {
  if (name === "") return "Please enter a name.";
  if (encoder.encode(name).length > 256) return "That is too long.";
  if (/[\p{Cc}{}]/u.test(name)) return "Curly brackets and control characters cannot be used.";
  return undefined;
}

/** The subject of a JWT, which is the user's name; undefined when it is not one. */
export function tokenSubject(token: string): string | undefined {
  try {
    const payload = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    const { sub } = JSON.parse(new TextDecoder().decode(bytes));
    return typeof sub === "string" || typeof sub === "number" ? String(sub) : undefined;
  } catch {
    return undefined;
  }
}

/** The name used last in this browser. */
export function rememberedName(): string {
  return localStorage.getItem(NAME) ?? "";
}

/** Who is signed in in this tab, also after a reload. Another tab may be somebody else. */
export function currentSession(): Session | undefined {
  const stored = sessionStorage.getItem(SESSION);
  return stored === null ? undefined : JSON.parse(stored);
}

export function startSession(session: Session): void {
  localStorage.setItem(NAME, session.user);
  sessionStorage.setItem(SESSION, JSON.stringify(session));
}

export function endSession(): void {
  sessionStorage.removeItem(SESSION);
}

/** The rooms this user was in last; a new user begins in the lobby. */
export function rememberedRooms(user: string): string[] {
  const stored = localStorage.getItem(`${ROOMS}.${user}`);
  return stored === null ? [FIRST_ROOM] : JSON.parse(stored);
}

export function rememberRooms(user: string, rooms: readonly string[]): void {
  localStorage.setItem(`${ROOMS}.${user}`, JSON.stringify(rooms));
}

/** Where the server that sent this page takes WebSockets. */
export function socketUrl({ user, token }: Session): string {
  const url = new URL("/ws", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  if (!token) url.searchParams.set("user", user);
  return url.href;
}
