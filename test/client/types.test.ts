import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import {
  type ReceivedMessage,
  WebSocketClient,
  type WebSocketClientOptions,
} from "../../src/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { repositoryRoot } from "../support/repository.ts";

const onDispose = useDisposals();

/** What the compiler of an application says of it, with types checked down to those of libraries. */
async function compile(source: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "roomcast-types-"));
  onDispose(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "node_modules/@types"), { recursive: true });
  symlinkSync(repositoryRoot, join(folder, "node_modules/roomcast"));
  for (const name of ["zod", "csstype", "@types/react"]) {
    symlinkSync(join(repositoryRoot, "node_modules", name), join(folder, "node_modules", name));
  }
  const compilerOptions = {
    target: "es2022",
    lib: ["es2022", "dom"],
    module: "nodenext",
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    types: [],
    noEmit: true,
    // As if it were installed.
    preserveSymlinks: true,
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions }));
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  writeFileSync(join(folder, "application.ts"), source);
  const tsc = join(repositoryRoot, "node_modules/typescript/bin/tsc");
  try {
    await promisify(execFile)(process.execPath, [tsc, "-p", folder]);
    return "";
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

test("an application with lib es2022 and without skipLibCheck compiles, and is told what is wrong", async () => {
  const good = `
    import { type SchemaOutput, WebSocketClient } from "roomcast/client";
    import { useRoom, useRoomcast } from "roomcast/react";
    import { z } from "zod";
    const schema = z.object({ text: z.string() });
    export async function ask(client: WebSocketClient): Promise<string> {
      const { text } = await client.request("who?", { schema });
      return text;
    }
    export function Lobby(): readonly SchemaOutput<typeof schema>[] {
      const { client } = useRoomcast("ws://localhost", { token: async () => null });
      return useRoom(client, "lobby", { schema, limit: 5 }).messages;
    }
  `;
  const wrong = `
    export function Wrong(client: WebSocketClient): readonly number[] {
      return useRoom(client, "lobby", { schema }).messages;
    }
    export const never: Promise<number> = new WebSocketClient("ws://localhost").request("x", { schema });
  `;
  expect(await compile(good)).toBe("");
  const said = await compile(good + wrong);
  expect(said.match(/error TS2322/g)).toHaveLength(2);
});

test("the type of the constructor holds what an application may pass, and nothing internal", () => {
  expectTypeOf<ConstructorParameters<typeof WebSocketClient>>().toEqualTypeOf<
    [url: string | URL, options?: WebSocketClientOptions | undefined]
  >();
  const declared = readFileSync(join(repositoryRoot, "dist/client/web-socket-client.d.ts"), "utf8");
  expect(declared).not.toMatch(/Runtime|Succession|Queue|Policy/);
});

test("what a client gives is typed by the schema that checks it", () => {
  const client = new WebSocketClient("ws://localhost");
  const schema = z.number();
  expectTypeOf(() => client.recv()).returns.resolves.toEqualTypeOf<ReceivedMessage>();
  expectTypeOf(() => client.recvJson({ schema })).returns.resolves.toEqualTypeOf<number>();
  expectTypeOf(() => client.request("x", { schema })).returns.resolves.toEqualTypeOf<number>();
  expectTypeOf(() => client.request("x")).returns.resolves.toEqualTypeOf<unknown>();
  expectTypeOf(() => client.request<number>("x")).returns.resolves.toEqualTypeOf<number>();
});
