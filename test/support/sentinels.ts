import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requireTool, tools } from "../../scripts/lib/system-tools.mjs";
import { freePort } from "./free-port.ts";
import { end, ProcessOutput } from "./process-output.ts";

export interface Sentinels {
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  dispose(): Promise<void>;
}

/** Three real Sentinels that watch over the server at `primary`, under the name `main`. */
export async function startSentinels(primary: number): Promise<Sentinels> {
  const folder = mkdtempSync(join(tmpdir(), "roomcast-sentinel-"));
  const started = await Promise.all(
    [1, 2, 3].map(async (number) => {
      const port = await freePort();
      const file = join(folder, `sentinel-${number}.conf`);
      const lines = [
        "bind 127.0.0.1",
        `port ${port}`,
        `dir "${folder}"`,
        `sentinel monitor main 127.0.0.1 ${primary} 2`,
        "sentinel down-after-milliseconds main 1000",
        "sentinel failover-timeout main 5000",
        "sentinel parallel-syncs main 1",
      ];
      writeFileSync(file, lines.join("\n"));
      const child = spawn(requireTool(tools.redis), [file, "--sentinel"], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      await new ProcessOutput(child).match(/\+monitor master main/);
      return { child, port };
    }),
  );
  return {
    nodes: started.map(({ port }) => ({ host: "127.0.0.1", port })),
    dispose: async () => {
      await Promise.all(started.map(({ child }) => end(child, "SIGKILL")));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
