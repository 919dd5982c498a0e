import { ConnectionFailedError } from "../../../protocol/errors.ts";
import { clientLibrary } from "./client-library.ts";

/** A primary that Sentinels watch over. */
export interface SentinelLocation {
  /** What the Sentinels call it; `mymaster` in Redis's own examples. */
  readonly name: string;
  /** The Sentinels; one that answers is enough. */
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  /** Of the Sentinels themselves; that of Redis stands in the URL. */
  readonly username?: string;
  readonly password?: string;
}

/** How long one Sentinel may take to answer, in milliseconds. */
const DEADLINE_MS = 1000;

/**
 * Asks the Sentinels, one after another, where the primary is now.
 *
 * @throws ConnectionFailedError if none of them knows; its cause lists what each said.
 */
export async function findPrimary(
  location: SentinelLocation,
): Promise<{ host: string; port: number }> {
  const failures: unknown[] = [];
  for (const node of location.nodes) {
    try {
      return await ask(node, location);
    } catch (error) {
      failures.push(error);
    }
  }
  throw new ConnectionFailedError(`No Sentinel knows where ${location.name} is.`, {
    cause: new AggregateError(failures),
  });
}

async function ask(
  node: SentinelLocation["nodes"][number],
  { name, username, password }: SentinelLocation,
): Promise<{ host: string; port: number }> {
  const { createClient } = await clientLibrary();
  const client = createClient({
    socket: { ...node, connectTimeout: DEADLINE_MS, reconnectStrategy: false },
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  });
  const late = new Promise<never>((_resolve, reject) => {
    client.on("error", reject);
    setTimeout(() => reject(new Error("It did not answer in time.")), DEADLINE_MS).unref();
  });
  try {
    await Promise.race([client.connect(), late]);
    const answer = client.sendCommand(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name]);
    const [host, port] = addressIn(await Promise.race([answer, late]));
    return { host, port: Number(port) };
  } finally {
    // An answer that is still on its way must not count as an unhandled failure.
    late.catch(() => {});
    if (client.isOpen) client.destroy();
  }
}

function addressIn(answer: unknown): [host: string, port: string] {
  if (Array.isArray(answer) && answer.length === 2) return [String(answer[0]), String(answer[1])];
  throw new Error("It does not know that name.");
}
