import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { requireTool, tools } from "../../scripts/lib/system-tools.mjs";
import { freePort } from "./free-port.ts";
import { end } from "./process-output.ts";

export interface Nginx {
  readonly port: number;
  dispose(): Promise<void>;
}

/** Starts a real NGINX on loopback with this `server` block; `PORT` in it is where it is to listen. */
export async function startNginx(server: string): Promise<Nginx> {
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
     http { access_log off; ${temporary} ${server.replaceAll("PORT", String(port))} }`,
  );
  const child = spawn(requireTool(tools.nginx), ["-c", file, "-e", join(dir, "start.log")], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => null);
    if (answer !== null) break;
    if (child.exitCode !== null) throw new Error(`NGINX ended with ${child.exitCode}.`);
    await wait(20);
  }
  return {
    port,
    async dispose() {
      await end(child, "SIGTERM");
      rmSync(dir, { recursive: true });
    },
  };
}
