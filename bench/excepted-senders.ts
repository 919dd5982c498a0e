import { Process } from "./process.ts";
import { connectRaw } from "./raw-client.ts";

const CONNECTIONS = 1000;
const SENDERS = 500;
const ROUNDS = 20;

/** Prints the longest turn of the event loop while half a room sends at once, each excepted from its own. */
const server = new Process("./servers/excepted-senders.ts", 0);
const { port } = await server.next<{ port: number }>();
let bytes = 0;
for (let i = 0; i < CONNECTIONS; i++) {
  await connectRaw(port, (received) => {
    bytes += received.length;
  });
}
const turns: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const before = bytes;
  const { longest } = await server.ask<{ longest: number }>({ senders: SENDERS });
  if (bytes === before) throw new Error("Nothing was delivered.");
  turns.push(longest);
}
turns.sort((a, b) => a - b);
console.log(
  `${SENDERS} of ${CONNECTIONS} members send in the same turn, each excepted from its own message`,
);
console.log(
  `  longest turn of each of ${ROUNDS} rounds: median ${turns[ROUNDS >> 1]?.toFixed(1)} ms, ` +
    `worst ${turns.at(-1)?.toFixed(1)} ms`,
);
await server.end();
process.exit();
