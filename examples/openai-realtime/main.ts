// Asks the OpenAI Realtime API something, and keeps the answer as a sound file:
//
//   OPENAI_API_KEY=sk-… node --import tsx examples/openai-realtime/main.ts "What is a WebSocket?" answer.wav
import { writeFileSync } from "node:fs";
import { RealtimeSession } from "./session.ts";
import { toWav } from "./wav.ts";

const {
  OPENAI_API_KEY: key = "",
  OPENAI_REALTIME_URL: url = "wss://api.openai.com/v1/realtime?model=gpt-realtime",
} = process.env;
const [question = "Say hello.", file = "answer.wav"] = process.argv.slice(2);

const session = new RealtimeSession(url, key);
try {
  await session.open("You answer in one short sentence.");
  const { audio, transcript } = await session.ask(question);
  writeFileSync(file, toWav(audio));
  console.log(`${transcript}\n(${(audio.length / 48_000).toFixed(1)} s of sound in ${file})`);
} finally {
  await session.close();
}
