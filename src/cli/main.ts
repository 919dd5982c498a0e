#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { ConfigurationError } from "../protocol/errors.ts";
import { BENCH_HELP, bench } from "./bench.ts";
import { DOCTOR_HELP, doctor } from "./doctor.ts";
import { SEND_HELP, send } from "./send.ts";
import { SERVE_HELP, serve } from "./serve.ts";
import { TAIL_HELP, tail } from "./tail.ts";
import { TASKS_HELP, tasks } from "./tasks.ts";
import { TOKEN_HELP, token } from "./token.ts";
import { TOP_HELP, top } from "./top.ts";

const HELP = `Usage: roomcast <command> [options]

Commands:
  serve      Run a ready-made WebSocket server with a chat page
  top        Show what a cluster is doing, live
  doctor     Look for what will go wrong: machine, Redis, proxies
  bench      Put load on a server and measure it
  tail       Print what arrives on a WebSocket
  send       Send messages to a WebSocket
  tasks      Show a task queue and its dead letters, retry or discard them
  token      Make a token to try it out with

Options:
  -h, --help     Show this, or with a command the command's options
  -v, --version  Show the version
`;

interface Command {
  readonly help: string;
  /** Resolves when the command is done; a server's never is. */
  run(args: readonly string[]): Promise<void>;
}

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ["serve", { help: SERVE_HELP, run: serve }],
  ["top", { help: TOP_HELP, run: top }],
  ["doctor", { help: DOCTOR_HELP, run: doctor }],
  ["bench", { help: BENCH_HELP, run: bench }],
  ["tail", { help: TAIL_HELP, run: tail }],
  ["send", { help: SEND_HELP, run: send }],
  ["tasks", { help: TASKS_HELP, run: tasks }],
  ["token", { help: TOKEN_HELP, run: token }],
]);

async function main([name, ...args]: readonly string[]): Promise<void> {
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    process.stdout.write(HELP);
    return;
  }
  if (name === "--version" || name === "-v") {
    process.stdout.write(`${version()}\n`);
    return;
  }
  const command = COMMANDS.get(name);
  if (command === undefined) {
    throw new ConfigurationError(
      `There is no command ${JSON.stringify(name)}; there are: ${[...COMMANDS.keys()].join(", ")}.`,
    );
  }
  if (args.includes("--help") || args.includes("-h")) process.stdout.write(command.help);
  else await command.run(args);
}

function version(): string {
  const file = new URL("../../package.json", import.meta.url);
  const { version: found }: { version: string } = JSON.parse(readFileSync(file, "utf8"));
  return found;
}

/** What the user can mend is said in a sentence; anything else is a fault of ours and shows where. */
main(process.argv.slice(2)).catch((error: unknown) => {
  const shown = error instanceof ConfigurationError ? error.message : error;
  console.error(shown instanceof Error ? shown : `roomcast: ${shown}`);
  process.exitCode = 1;
});
