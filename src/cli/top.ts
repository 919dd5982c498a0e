import { setTimeout as wait } from "node:timers/promises";
import { WebSocketClient } from "../client/node.ts";
import { ConfigurationError, WebSocketError } from "../protocol/errors.ts";
import { quote } from "../protocol/names.ts";
import { Cluster } from "./cluster-view.ts";
import { parseFlagsAndWords, readText } from "./flags.ts";
import type { InstanceReport } from "./instance-report.ts";
import { OPERATORS_PATH } from "./operators.ts";
import { printable } from "./printable.ts";
import { drawTop, lookAt, SORTS, type Sort } from "./top-screen.ts";

export const TOP_HELP: string = `Usage: roomcast top <url> [options]

Shows what a cluster is doing, refreshed every second: its instances, the hottest rooms, the busiest users, the slowest
readers. Any instance will do. Names that weigh most are found by sketches of fixed memory, over the last 10 to 20 s.

Options:
  --key <text>     The API key of the server. Default: ROOMCAST_API_KEY
  --sort <column>  ${Object.keys(SORTS).join(", ")}. Default: name
  --json           One look as JSON, and no more
  --help           Show this

Keys: ${Object.entries(SORTS)
  .map(([sort, key]) => `${key} sorts by ${sort}`)
  .join(", ")}; q ends it.

Examples:
  roomcast top http://localhost:8000
  ROOMCAST_API_KEY=… roomcast top https://chat.example.org --sort deliveries
  roomcast top http://localhost:8000 --json | jq '.hottestRooms[0]'
`;

const OPTIONS = {
  key: { type: "string" },
  sort: { type: "string" },
  json: { type: "boolean" },
} as const;

const REFRESH_MS = 1000;
/** For one look: two reports of each instance, so that there are rates. */
const LOOK_MS = 2500;
const ALTERNATE_SCREEN = "\u001b[?1049h\u001b[?25l";
const MAIN_SCREEN = "\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const REST_OF_LINE = "\u001b[K";
const REST_OF_SCREEN = "\u001b[J";

/** Resolves when it was ended. @throws ConfigurationError naming what is wrong. */
export async function top(args: readonly string[]): Promise<void> {
  const { flags, words } = parseFlagsAndWords("top", args, OPTIONS);
  const url = readUrl(words);
  const sort = readSort(readText(flags, {}, "sort", "")?.value ?? "name");
  const key = readText(flags, process.env, "key", "ROOMCAST_API_KEY")?.value;
  const cluster = new Cluster();
  const client = new WebSocketClient(url, {
    config: { reconnectMaxAttempts: 0, reconnectBackoffMaxMs: 5000 },
    ...(key !== undefined && { token: key }),
  });
  client.on("message", (message) => {
    if (typeof message === "string")
      cluster.hear(JSON.parse(message) as InstanceReport, Date.now());
  });
  client.on("error", () => {});
  try {
    await client.connect();
    if (flags.json === true) await lookOnce(cluster);
    else await watch(cluster, client, words[0] ?? "", sort);
  } catch (error) {
    if (!(error instanceof WebSocketError)) throw error;
    const hint = key === undefined ? " If the server has an API key, give it with --key." : "";
    throw new ConfigurationError(printable(error.message) + hint, { cause: error });
  } finally {
    await client.close();
  }
}

async function lookOnce(cluster: Cluster): Promise<void> {
  await wait(LOOK_MS);
  cluster.tick(Date.now());
  process.stdout.write(`${JSON.stringify(lookAt(cluster, Date.now()), null, 2)}\n`);
}

async function watch(
  cluster: Cluster,
  client: WebSocketClient,
  title: string,
  first: Sort,
): Promise<void> {
  let sort = first;
  const { stdin, stdout } = process;
  const draw = (): void => {
    const state = client.state === "open" ? "" : ` — ${client.state}, what you see is old`;
    const lines = drawTop(cluster, `roomcast top  ${title}${state}`, Date.now(), {
      columns: stdout.columns ?? 200,
      rows: stdout.rows ?? 60,
      colour: stdout.isTTY === true && process.env.NO_COLOR === undefined,
      sort,
    });
    const end = stdout.isTTY ? `${REST_OF_LINE}\n` : "\n";
    const text = lines.map((line) => line + end).join("");
    stdout.write(stdout.isTTY ? HOME + text + REST_OF_SCREEN : `${text}\n`);
  };
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      cluster.tick(Date.now());
      draw();
    }, REFRESH_MS);
    const onKey = (typed: Buffer): void => {
      const key = typed.toString();
      const chosen = Object.entries(SORTS).find(([, one]) => one === key)?.[0];
      if (chosen !== undefined) sort = readSort(chosen);
      if (key === "q" || key === "\u0003") end();
      else draw();
    };
    const end = (): void => {
      clearInterval(timer);
      process.off("SIGINT", end).off("SIGTERM", end);
      stdout.off("error", end);
      if (stdin.isTTY) stdin.off("data", onKey).setRawMode(false).pause();
      if (stdout.isTTY) stdout.write(MAIN_SCREEN);
      resolve();
    };
    process.once("SIGINT", end).once("SIGTERM", end);
    // Nobody reads any more.
    stdout.on("error", end);
    if (stdin.isTTY) stdin.setRawMode(true).on("data", onKey);
    if (stdout.isTTY) stdout.write(ALTERNATE_SCREEN);
    draw();
  });
}

function readUrl([text, ...rest]: readonly string[]): string {
  if (
    text === undefined ||
    rest.length > 0 ||
    !/^(http|ws)s?:\/\//.test(text) ||
    !URL.canParse(text)
  ) {
    throw new ConfigurationError(
      "roomcast top needs the address of one server, such as http://localhost:8000.",
    );
  }
  const url = new URL(OPERATORS_PATH, text);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

function readSort(text: string): Sort {
  if (Object.hasOwn(SORTS, text)) return text as Sort;
  throw new ConfigurationError(
    `--sort is ${quote(text)}, but must be one of ${Object.keys(SORTS).join(", ")}.`,
  );
}
