import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { capture } from "./command.mjs";
import { StepError, step } from "./steps.mjs";

/**
 * A program the tests run for real.
 *
 * @typedef {object} Tool
 * @property {string} name
 * @property {string} override environment variable that names another binary
 * @property {readonly string[]} commands what it may be called, best first
 * @property {{ "apt-get": string, dnf: string, brew: string }} packages who installs it as what
 */

/** @satisfies {Record<string, Tool>} */
export const tools = {
  redis: {
    name: "redis-server",
    override: "REDIS_SERVER_BIN",
    commands: ["redis-server", "valkey-server"],
    packages: { "apt-get": "redis-server", dnf: "valkey", brew: "redis" },
  },
  chromium: {
    name: "chromium",
    override: "CHROMIUM_BIN",
    commands: ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"],
    packages: { "apt-get": "chromium", dnf: "chromium", brew: "chromium" },
  },
  nginx: {
    name: "nginx",
    override: "NGINX_BIN",
    commands: ["nginx"],
    packages: { "apt-get": "nginx", dnf: "nginx", brew: "nginx" },
  },
  haproxy: {
    name: "haproxy",
    override: "HAPROXY_BIN",
    commands: ["haproxy"],
    packages: { "apt-get": "haproxy", dnf: "haproxy", brew: "haproxy" },
  },
  prometheus: {
    name: "prometheus",
    override: "PROMETHEUS_BIN",
    commands: ["prometheus"],
    packages: { "apt-get": "prometheus", dnf: "golang-github-prometheus", brew: "prometheus" },
  },
  promtool: {
    name: "promtool",
    override: "PROMTOOL_BIN",
    commands: ["promtool"],
    packages: { "apt-get": "prometheus", dnf: "golang-github-prometheus", brew: "prometheus" },
  },
  openssl: {
    name: "openssl",
    override: "OPENSSL_BIN",
    commands: ["openssl"],
    packages: { "apt-get": "openssl", dnf: "openssl", brew: "openssl" },
  },
};

/** Servers live here on many systems, where a user's PATH does not reach. */
const SERVER_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/**
 * @param {string} path
 * @returns {boolean}
 */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * @param {string} command
 * @param {NodeJS.ProcessEnv} env
 * @returns {string | undefined} the full path of the command
 */
function which(command, env) {
  const folders = [...(env.PATH ?? "").split(delimiter).filter(Boolean), ...SERVER_FOLDERS];
  return folders.map((folder) => join(folder, command)).find(isExecutable);
}

/**
 * @param {Tool} tool
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string | undefined} the full path of the tool
 * @throws {StepError} when the environment names one that is not there
 */
export function findTool(tool, env = process.env) {
  const named = env[tool.override];
  if (named) {
    if (isExecutable(named)) return named;
    throw new StepError(`${tool.override} is "${named}", which is not an executable file.`);
  }
  for (const command of tool.commands) {
    const path = which(command, env);
    if (path) return path;
  }
  return undefined;
}

/**
 * @param {Tool} tool
 * @returns {string} the full path of the tool
 * @throws {StepError} when it is not installed
 */
export function requireTool(tool) {
  const path = findTool(tool);
  if (path) return path;
  throw new StepError(`${tool.name} is not installed. Install it, or set ${tool.override}.`);
}

/**
 * @param {readonly Tool[]} missing
 * @param {NodeJS.ProcessEnv} env
 * @returns {string[][]} the commands that install them here; none where we know no way
 */
function installCommands(missing, env) {
  const names = (/** @type {keyof Tool["packages"]} */ manager) =>
    missing.map((tool) => tool.packages[manager]);
  if (which("apt-get", env)) {
    const install = ["apt-get", "install", "-y", "--no-install-recommends", ...names("apt-get")];
    return [["apt-get", "update"], install];
  }
  if (which("dnf", env)) return [["dnf", "install", "-y", ...names("dnf")]];
  if (which("brew", env)) return [["brew", "install", ...names("brew")]];
  return [];
}

/**
 * Makes sure that tools exist, with the system's package manager where it may.
 *
 * @param {readonly Tool[]} wanted
 * @param {NodeJS.ProcessEnv} [env]
 * @throws {StepError} with the command to run, where it may not or where that did not help
 */
export async function ensureTools(wanted, env = process.env) {
  const missing = wanted.filter((tool) => !findTool(tool, env));
  if (missing.length === 0) return;

  const commands = installCommands(missing, env);
  const names = missing.map((tool) => tool.name).join(", ");
  const overrides = missing.map((tool) => tool.override).join(", ");
  const prefix = await privilege(commands, env);
  const byHand = commands.map((command) => [...(prefix ?? ["sudo"]), ...command].join(" "));
  const advice = byHand.join(" && ") || "your system's package manager";
  const unable = `The tests need ${names}. Install with: ${advice}\nOr name the binaries: ${overrides}.`;
  if (commands.length === 0 || !prefix) throw new StepError(unable);

  await step(`install ${names}`, async () => {
    for (const command of commands) {
      const [file = "", ...args] = [...prefix, ...command];
      const result = await capture(file, args, {
        env: { ...env, DEBIAN_FRONTEND: "noninteractive" },
      });
      if (result.code !== 0) throw new StepError(`${result.output.trimEnd()}\n${unable}`);
    }
    if (missing.some((tool) => !findTool(tool, env))) throw new StepError(unable);
  });
}

/**
 * @param {string[][]} commands
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string[] | undefined>} what to put before a command so that it may install;
 *   undefined when nothing is allowed without asking for a password
 */
async function privilege(commands, env) {
  if (commands[0]?.[0] === "brew" || process.getuid?.() === 0) return [];
  const sudo = which("sudo", env);
  if (!sudo || (await capture(sudo, ["-n", "true"], { env })).code !== 0) return undefined;
  return ["sudo", "-n"];
}
