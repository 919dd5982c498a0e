import { WebSocketClient } from "../client/node.ts";
import { ConfigurationError, WebSocketError } from "../protocol/errors.ts";
import { SUBPROTOCOL } from "../protocol/roomcast-v1.ts";
import { CLIENT_FLAGS, CLIENT_HELP, readAddress, readClientOptions } from "./client-options.ts";
import { parseFlagsAndWords } from "./flags.ts";
import { printable } from "./printable.ts";

export const SEND_HELP: string = `Usage: roomcast send <url> <message>... [options]

Connects, sends each message as text, and closes.

Options:
  --ack                    Wait until a Roomcast server has handled each message, and print its answer; null: none
${CLIENT_HELP}`;

const OPTIONS = { ...CLIENT_FLAGS, ack: { type: "boolean" } } as const;

/** Sends messages. @throws ConfigurationError naming what is wrong, or why a message could not be sent. */
export async function send(args: readonly string[]): Promise<void> {
  const { flags, words } = parseFlagsAndWords("send", args, OPTIONS);
  const [url, ...messages] = words;
  const address = readAddress("send", url);
  if (messages.length === 0) throw new ConfigurationError("roomcast send needs a message to send.");
  const options = readClientOptions(flags);
  const acknowledged = flags.ack === true;
  const client = new WebSocketClient(address, {
    ...options,
    ...(acknowledged && { subprotocols: [SUBPROTOCOL, ...(options.subprotocols ?? [])] }),
  });
  // What comes meanwhile is not of interest, and must not hold up the server.
  client.on("message", () => {});
  try {
    await client.connect();
    for (const message of messages) {
      if (!acknowledged) await client.send(message);
      else
        process.stdout.write(
          `${printable(JSON.stringify((await client.request(message)) ?? null))}\n`,
        );
    }
  } catch (error) {
    if (!(error instanceof WebSocketError)) throw error;
    throw new ConfigurationError(printable(error.message), { cause: error });
  } finally {
    await client.close();
  }
}
