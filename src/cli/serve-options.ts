import { isIP } from "node:net";
import { parseArgs } from "node:util";
import { loadConfig, type WebSocketConfig } from "../protocol/config.ts";
import { ConfigurationError } from "../protocol/errors.ts";
import { readSetting, wholeNumber } from "../protocol/setting.ts";

export const SERVE_HELP = `Usage: roomcast serve [options]

Runs a WebSocket server at /ws with a chat page at /. Without further services it keeps everything
in memory, and is meant for trying out: clients choose their own names (/ws?user=alice).

Options (and the environment variables of the same meaning):
  --port <number>   PORT    The port to listen on; 0 takes a free one. Default 8000
  --host <address>  HOST    The address to listen on. Default 127.0.0.1
  --insecure                Allow an address that others can reach although nobody is authenticated
  --help                    Show this

Connections are set up by WS_OPEN_TIMEOUT, WS_CLOSE_TIMEOUT, WS_PING_INTERVAL, WS_PING_TIMEOUT (seconds),
WS_MAX_MESSAGE_SIZE (bytes), WS_MAX_QUEUE_SIZE and WS_HISTORY_MAX_LENGTH (messages).
`;

export interface ServeOptions {
  readonly port: number;
  readonly host: string;
  readonly config: WebSocketConfig;
}

const PORT = wholeNumber("PORT", 8000, 0, 65_535);

/** @throws ConfigurationError naming the flag or variable, its value and what is allowed. */
export function readServeOptions(args: readonly string[], env: NodeJS.ProcessEnv): ServeOptions {
  const flags = parseFlags(args);
  const port =
    flags.port === undefined
      ? readSetting(env, PORT)
      : readSetting({ "--port": flags.port }, { ...PORT, variable: "--port" });
  const host = flags.host ?? (env.HOST?.trim() || "127.0.0.1");
  if (!isLoopback(host) && flags.insecure !== true) {
    throw new ConfigurationError(
      `HOST is ${JSON.stringify(host)}, which others can reach, but nobody is authenticated. ` +
        "Use a loopback address such as 127.0.0.1, or --insecure if that is what you want.",
    );
  }
  return { port, host, config: loadConfig(env) };
}

function parseFlags(args: readonly string[]): {
  port?: string | undefined;
  host?: string | undefined;
  insecure?: boolean | undefined;
} {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        port: { type: "string" },
        host: { type: "string" },
        insecure: { type: "boolean" },
      },
    });
    return values;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigurationError(`${why} See roomcast serve --help.`, { cause });
  }
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}
