import { loadConfig } from "../protocol/config.ts";
import { ConfigurationError } from "../protocol/errors.ts";
import { isName, quote } from "../protocol/names.ts";
import { type DeadTask, TaskQueue } from "../tasks/task-queue.ts";
import { backplaneFor } from "./backplane.ts";
import { type Flags, parseFlagsAndWords } from "./flags.ts";
import { printable } from "./printable.ts";

export const TASKS_HELP = `Usage: roomcast tasks [list] [options]
       roomcast tasks show <id> [options]
       roomcast tasks retry <id>... | --all [options]
       roomcast tasks discard <id>... | --all [options]

Looks after a task queue on the Redis of REDIS_URL: how much it holds, and its dead letters, which are
the tasks that failed for good.

  list     Show the state of the queue and its dead letters, the first that died on top
  show     Show one dead letter whole
  retry    Put dead letters back into the queue, with all their attempts before them
  discard  Forget dead letters

Options:
  --queue <name>  The queue. Default tasks
  --all           Every dead letter there is
  --json          List or show as JSON, a line for each dead letter
  --help          Show this
`;

const OPTIONS = {
  queue: { type: "string" },
  all: { type: "boolean" },
  json: { type: "boolean" },
} as const;

/** How much of an error fits in a line of the list, in characters. */
const LINE_LENGTH = 60;

/** Shows and mends a queue. @throws ConfigurationError naming what is missing or wrong. */
export async function tasks(args: readonly string[]): Promise<void> {
  const { flags, words } = parseFlagsAndWords("tasks", args, OPTIONS);
  const [action = "list", ...ids] = words;
  const run = ACTIONS.get(action);
  if (run === undefined) {
    throw new ConfigurationError(
      `There is no action ${quote(action)}; there are: ${[...ACTIONS.keys()].join(", ")}.`,
    );
  }
  const { queue: name } = flags;
  if (name !== undefined && !isName(name)) {
    throw new ConfigurationError(
      "--queue must be a name of 1 to 256 bytes without control characters, { or }.",
    );
  }
  const config = loadConfig();
  if (config.redisUrl === null) {
    throw new ConfigurationError(
      "Set REDIS_URL to the Redis that has the queue: tasks in memory cannot be seen from outside.",
    );
  }
  const backplane = await backplaneFor(config);
  const queue = new TaskQueue({ backplane, ...(typeof name === "string" && { name }) });
  const failures: string[] = [];
  queue.on("error", (error) => failures.push(error instanceof Error ? error.message : `${error}`));
  try {
    await run(queue, ids, flags);
  } catch (error) {
    // Why Redis cannot be reached was told before the call that failed for it.
    const [why] = failures;
    if (why === undefined || error instanceof ConfigurationError) throw error;
    throw new ConfigurationError(`Redis cannot be used: ${why}`, { cause: error });
  } finally {
    await queue.close();
  }
}

type Action = (queue: TaskQueue, ids: readonly string[], flags: Flags) => Promise<void>;

const ACTIONS: ReadonlyMap<string, Action> = new Map([
  ["list", list],
  ["show", show],
  ["retry", (queue, ids, flags) => eachDead(queue, ids, flags, "retry")],
  ["discard", (queue, ids, flags) => eachDead(queue, ids, flags, "discard")],
]);

async function list(queue: TaskQueue, ids: readonly string[], { json }: Flags): Promise<void> {
  if (ids.length > 0) throw new ConfigurationError("list takes no ids; show takes one.");
  const { waiting, inWork, dead, oldest } = await queue.stats();
  if (json) return printEach(queue);
  const since = oldest === null ? "" : `, the oldest since ${time(oldest)}`;
  print(`${queue.name}: ${waiting} waiting, ${inWork} in work, ${dead} dead${since}`);
  for await (const letter of queue.dead()) {
    const error = printable(letter.error.slice(0, LINE_LENGTH));
    print(`${printable(letter.id)}  ${time(letter.diedAt)}  ${attempts(letter)}  ${error}`);
  }
}

async function printEach(queue: TaskQueue): Promise<void> {
  for await (const letter of queue.dead()) print(JSON.stringify(letter));
}

async function show(queue: TaskQueue, ids: readonly string[], { json }: Flags): Promise<void> {
  const [id, ...others] = ids;
  if (id === undefined || others.length > 0) throw new ConfigurationError("show takes one id.");
  for await (const letter of queue.dead()) {
    if (letter.id !== id) continue;
    if (json) return print(JSON.stringify(letter));
    print(`id        ${printable(letter.id)}`);
    print(`died      ${time(letter.diedAt)}, after ${attempts(letter)}`);
    print(`error     ${printable(letter.error)}`);
    return print(`task      ${printable(JSON.stringify(letter.task))}`);
  }
  throw notDead(queue, [id]);
}

async function eachDead(
  queue: TaskQueue,
  ids: readonly string[],
  { all }: Flags,
  what: "retry" | "discard",
): Promise<void> {
  if (ids.length > 0 === (all === true)) {
    throw new ConfigurationError(`${what} takes the ids of dead letters, or --all.`);
  }
  const missing: string[] = [];
  let count = 0;
  for await (const id of all ? idsOf(queue) : ids) {
    if (await queue[what](id)) count++;
    else if (!all) missing.push(id);
  }
  print(`${count} ${what === "retry" ? "put back into the queue" : "discarded"}`);
  if (missing.length > 0) throw notDead(queue, missing);
}

/** Those that were dead when it began: what dies meanwhile would be retried without end. */
async function* idsOf(queue: TaskQueue): AsyncGenerator<string> {
  const began = Date.now();
  for await (const { id, diedAt } of queue.dead()) {
    if (diedAt > began) return;
    yield id;
  }
}

function notDead(queue: TaskQueue, ids: readonly string[]): ConfigurationError {
  const named = ids.map(quote).join(", ");
  return new ConfigurationError(`There is no dead letter ${named} in ${queue.name}.`);
}

function attempts({ attempts: count }: DeadTask): string {
  return count === 1 ? "1 attempt" : `${count} attempts`;
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
