import { ConnectionClosedError, connect } from "roomcast/client";

const { ECHO_URL: url = "ws://localhost:9000" } = process.env;

for await (const socket of connect(url, { config: { reconnectMaxAttempts: 0 } })) {
  try {
    await socket.send("subscribe"); // what this service wants to hear first
    for await (const message of socket) console.log(message);
  } catch (error) {
    if (!(error instanceof ConnectionClosedError)) throw error;
    console.log(`lost: ${error.closeCode}`); // and the loop goes on with the next one
  }
}
