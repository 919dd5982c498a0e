import { once } from "node:events";
import { WebSocketClient } from "../client/node.ts";
import { ConfigurationError, WebSocketError } from "../protocol/errors.ts";
import { BEGINNING, SUBPROTOCOL } from "../protocol/roomcast-v1.ts";
import { CLIENT_FLAGS, CLIENT_HELP, readAddress, readClientOptions } from "./client-options.ts";
import { parseFlagsAndWords, readText } from "./flags.ts";
import { printable } from "./printable.ts";

export const TAIL_HELP: string = `Usage: roomcast tail <url> [options]

Prints each message that arrives, on a line of its own, until it is stopped (Ctrl-C). It reconnects by itself; what
happens to the connection is told on stderr. Binary messages are printed as their length and base64; control characters in
text are escaped, as in JSON.

Options:
  --send <text>            Sent at each connection, such as '{"type":"join","room":"lobby"}'
  --room <names>           Rooms of a Roomcast server, with commas between: their history, then what is new,
                           without a gap over reconnects
  --since <position>       Where to begin in those rooms. Default: the beginning of the history
${CLIENT_HELP}`;

const OPTIONS = {
  ...CLIENT_FLAGS,
  send: { type: "string" },
  room: { type: "string" },
  since: { type: "string" },
} as const;

/** Prints what arrives. Resolves at the final close. @throws ConfigurationError naming what is wrong. */
export async function tail(args: readonly string[]): Promise<void> {
  const { flags, words } = parseFlagsAndWords("tail", args, OPTIONS);
  const [url, ...rest] = words;
  const address = readAddress("tail", url);
  if (rest.length > 0) throw new ConfigurationError(`roomcast tail takes one address.`);
  const options = readClientOptions(flags);
  const rooms = readText(flags, {}, "room", "")?.value.split(",") ?? [];
  const since = readText(flags, {}, "since", "")?.value ?? BEGINNING;
  const greeting = readText(flags, {}, "send", "")?.value;
  const client = new WebSocketClient(address, {
    ...options,
    ...(rooms.length > 0 && {
      subprotocols: [SUBPROTOCOL, ...(options.subprotocols ?? [])],
      resumeFrom: Object.fromEntries(rooms.map((room) => [room.trim(), since])),
    }),
  });

  const say = (text: string): void => void process.stderr.write(`${printable(text)}\n`);
  client.on("open", () => {
    say("Connected.");
    if (greeting !== undefined) client.send(greeting).catch((error: Error) => say(error.message));
  });
  client.on("reconnecting", ({ delayMs, code, reason }) => {
    const why = reason === "" ? code : `${code} (${reason})`;
    say(`Lost: ${why}. Trying again in ${((delayMs ?? 0) / 1000).toFixed(1)} s.`);
  });
  client.on("gap", ({ room }) => say(`Messages of ${room} are missing here.`));
  client.on("error", (error) => say(error.message));
  const stopped = new AbortController();
  const stop = (): void => {
    stopped.abort();
    void client.close();
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  let fault: Error | undefined;
  const broken = (error: NodeJS.ErrnoException): void => {
    // Nobody reads any more, such as `head` that has had enough: that is no fault.
    if (error.code !== "EPIPE") fault = error;
    stop();
  };
  process.stdout.on("error", broken);
  process.stderr.on("error", broken);
  try {
    await client.connect();
    for await (const message of client) {
      if (stopped.signal.aborted) break;
      const line =
        typeof message === "string"
          ? printable(message)
          : `<${message.length} bytes> ${Buffer.from(message).toString("base64")}`;
      // Who reads slowly holds up the loop, and by it the server.
      if (!process.stdout.write(`${line}\n`)) await drained(stopped.signal);
    }
    if (fault !== undefined) throw failure(fault);
    say("Closed.");
  } catch (error) {
    if (!(error instanceof WebSocketError)) throw error;
    throw failure(error);
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}

function failure(cause: Error): ConfigurationError {
  return new ConfigurationError(printable(cause.message), { cause });
}

/** Resolves when stdout takes more, or nobody wants it to. */
async function drained(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await once(process.stdout, "drain", { signal }).catch(() => {});
}
