import type { WebSocketClientOptions } from "../client/options.ts";
import { loadConfig } from "../protocol/config.ts";
import { ConfigurationError } from "../protocol/errors.ts";
import { quote } from "../protocol/names.ts";
import { type Flags, readText } from "./flags.ts";

/** The flags of every command that connects to a server. */
export const CLIENT_FLAGS = {
  token: { type: "string" },
  header: { type: "string" },
  subprotocol: { type: "string" },
} as const;

export const CLIENT_HELP = `  --token <token>          Sent as Authorization: Bearer. Default: ROOMCAST_TOKEN
  --header <name: value>   Sent with the handshake
  --subprotocol <list>     Offered to the server, with commas between
  --help                   Show this

The variables WS_OPEN_TIMEOUT, WS_PING_INTERVAL, WS_MAX_MESSAGE_SIZE, WS_RECONNECT_MAX_ATTEMPTS and so on are heeded.
`;

/** @throws ConfigurationError naming the flag or variable that is wrong. */
export function readClientOptions(flags: Flags): WebSocketClientOptions {
  const token = readText(flags, process.env, "token", "ROOMCAST_TOKEN")?.value;
  const header = readText(flags, {}, "header", "")?.value;
  const subprotocols = readText(flags, {}, "subprotocol", "")?.value.split(",") ?? [];
  return {
    config: loadConfig(),
    subprotocols: subprotocols.map((name) => name.trim()).filter((name) => name !== ""),
    ...(token !== undefined && { token }),
    ...(header !== undefined && { headers: readHeader(header) }),
  };
}

/** @throws ConfigurationError if it is none. */
export function readAddress(command: string, url: string | undefined): string {
  if (url !== undefined && /^wss?:\/\//.test(url) && URL.canParse(url)) return url;
  throw new ConfigurationError(
    `roomcast ${command} needs an address that begins with ws:// or wss://, such as ws://localhost:8000/ws?user=me.`,
  );
}

function readHeader(text: string): Record<string, string> {
  const [, name = "", value = ""] = /^([^:\s]+):\s*(.*)$/.exec(text) ?? [];
  if (name !== "") return { [name]: value };
  throw new ConfigurationError(`--header is ${quote(text)}, but must be like "X-API-Key: secret".`);
}
