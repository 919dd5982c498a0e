import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { useDisposals } from "../support/disposals.ts";
import { end, ProcessOutput } from "../support/process-output.ts";
import { repositoryRoot } from "../support/repository.ts";

const onDispose = useDisposals();

/** More than a client takes unless it is told to: 3 MB of sound. */
const SOUND = Buffer.alloc(3_000_000, "sound");

/** A server that speaks the documented events, to those with the right key and subprotocol. */
async function startStandIn(answer: (socket: WebSocket, asked: string) => void): Promise<string> {
  const server = new WebSocketServer({
    port: 0,
    host: "127.0.0.1",
    handleProtocols: (offered) => (offered.has("realtime") ? "realtime" : false),
    verifyClient: ({ req }: { req: IncomingMessage }) =>
      req.headers.authorization === "Bearer sk-test",
  });
  server.on("connection", (socket) => {
    const tell = (event: object) => socket.send(JSON.stringify({ event_id: "e", ...event }));
    tell({ type: "session.created", session: { id: "s", model: "gpt-realtime" } });
    let asked = "";
    socket.on("message", (data: Buffer) => {
      const event = JSON.parse(data.toString());
      if (event.type === "session.update") {
        const { instructions, output_modalities, audio } = event.session;
        const right = instructions && output_modalities[0] === "audio" && audio.output.voice;
        if (right) tell({ type: "session.updated", session: event.session });
      } else if (event.type === "conversation.item.create") {
        asked = event.item.content[0].text;
        tell({ type: "conversation.item.added", item: event.item });
      } else if (event.type === "response.create") answer(socket, asked);
    });
  });
  await once(server, "listening");
  onDispose(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/v1/realtime?model=gpt-realtime`;
}

/** Runs the example; resolves to its exit code, what it printed, and the sound file. */
async function run(env: Record<string, string>, question: string) {
  const folder = mkdtempSync(join(tmpdir(), "roomcast-realtime-"));
  onDispose(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "answer.wav");
  const script = join(repositoryRoot, "examples/openai-realtime/main.ts");
  const child = spawn(process.execPath, ["--import", "tsx", script, question, file], {
    cwd: repositoryRoot,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onDispose(() => end(child, "SIGKILL"));
  const output = new ProcessOutput(child);
  const [code] = await once(child, "close");
  return { code, text: output.text, sound: code === 0 ? readFileSync(file) : null };
}

function speak(socket: WebSocket, asked: string): void {
  const response_id = "r";
  const events = [
    { type: "response.created", response: { id: response_id } },
    { type: "response.output_item.added", response_id },
    { type: "response.output_audio_transcript.delta", response_id, delta: "You asked: " },
    { type: "response.output_audio_transcript.delta", response_id, delta: asked },
    {
      type: "response.output_audio.delta",
      response_id,
      delta: SOUND.subarray(0, 3).toString("base64"),
    },
    {
      type: "response.output_audio.delta",
      response_id,
      delta: SOUND.subarray(3).toString("base64"),
    },
    { type: "response.output_audio.done", response_id },
    { type: "response.done", response: { id: response_id, status: "completed" } },
  ];
  for (const event of events) socket.send(JSON.stringify(event));
}

test("a session: typed events, sound collected from its deltas, messages of several megabytes", async () => {
  const url = await startStandIn(speak);
  const env = { OPENAI_API_KEY: "sk-test", OPENAI_REALTIME_URL: url };
  const { code, text, sound } = await run(env, "What is a WebSocket?");
  expect([code, text]).toEqual([0, expect.stringContaining("You asked: What is a WebSocket?")]);
  expect(sound?.subarray(0, 4).toString()).toBe("RIFF");
  expect(sound?.readUInt32LE(40)).toBe(SOUND.length);
  expect(sound?.subarray(44).equals(SOUND)).toBe(true);
});

test("what the service refuses is said: a wrong key, an error, a hang-up", async () => {
  const error = { type: "error", error: { type: "invalid_request_error", message: "Too soon." } };
  const failing = await startStandIn((socket) => socket.send(JSON.stringify(error)));
  const wrongKey = await run({ OPENAI_API_KEY: "sk-wrong", OPENAI_REALTIME_URL: failing }, "x");
  expect([wrongKey.code, wrongKey.text]).toEqual([1, expect.stringContaining("401")]);
  const refused = await run({ OPENAI_API_KEY: "sk-test", OPENAI_REALTIME_URL: failing }, "x");
  expect([refused.code, refused.text]).toEqual([1, expect.stringContaining("Too soon.")]);
  const leaving = await startStandIn((socket) => socket.close(1000));
  const left = await run({ OPENAI_API_KEY: "sk-test", OPENAI_REALTIME_URL: leaving }, "x");
  expect([left.code, left.text]).toEqual([1, expect.stringContaining("hung up")]);
});

if (process.env.OPENAI_API_KEY) {
  test("the real service answers", async () => {
    const { code, text, sound } = await run({}, "Say hello.");
    expect([code, text]).toEqual([0, expect.stringMatching(/s of sound/)]);
    expect(sound?.length).toBeGreaterThan(10_000);
  });
}
