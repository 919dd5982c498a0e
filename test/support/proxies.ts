import { type ChildProcessByStdio, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import { requireTool, tools } from "../../scripts/lib/system-tools.mjs";
import { freePort } from "./free-port.ts";
import { end } from "./process-output.ts";

/** A real proxy on loopback. */
export interface RunningProxy {
  readonly port: number;
  /** Takes its configuration anew, as an operator does; connections go on. */
  reload(): Promise<void>;
  dispose(): Promise<void>;
}

/** Starts NGINX with this in its `http` block; `PORT` is where it is to listen. */
export async function startNginx(http: string): Promise<RunningProxy> {
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), "roomcast-nginx-"));
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${dir}/${kind};`)
    .join(" ");
  const file = join(dir, "nginx.conf");
  writeFileSync(
    file,
    `daemon off; pid ${dir}/pid; error_log ${dir}/error.log;
     events { worker_connections 4096; }
     http { access_log off; ${temporary} ${http.replaceAll("PORT", String(port))} }`,
  );
  const child = spawnProxy(requireTool(tools.nginx), ["-c", file, "-e", join(dir, "start.log")]);
  await listening(child, port);
  return {
    port,
    async reload() {
      child.kill("SIGHUP");
    },
    async dispose() {
      await end(child, "SIGTERM");
      rmSync(dir, { recursive: true });
    },
  };
}

/** Starts HAProxy with this configuration; `PORT` is where it is to listen. */
export async function startHaproxy(configuration: string): Promise<RunningProxy> {
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), "roomcast-haproxy-"));
  const file = join(dir, "haproxy.cfg");
  writeFileSync(file, configuration.replaceAll("PORT", String(port)));
  // In this mode one process watches over the others, and reloads.
  const child = spawnProxy(requireTool(tools.haproxy), ["-W", "-f", file]);
  await listening(child, port);
  return {
    port,
    async reload() {
      child.kill("SIGUSR2");
    },
    async dispose() {
      await end(child, "SIGTERM");
      rmSync(dir, { recursive: true });
    },
  };
}

type ProxyProcess = ChildProcessByStdio<null, Readable, Readable>;

function spawnProxy(command: string, args: readonly string[]): ProxyProcess {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  // Nobody else reads it.
  child.stdout.resume();
  child.stderr.pipe(process.stderr, { end: false });
  return child;
}

async function listening(child: ProxyProcess, port: number): Promise<void> {
  for (;;) {
    const isThere = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
    if (isThere) return;
    if (child.exitCode !== null) throw new Error(`The proxy ended with ${child.exitCode}.`);
    await wait(20);
  }
}
