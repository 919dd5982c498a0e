import { WebSocketClient } from "roomcast/client";

const { CHAT_URL: url = "ws://localhost:8000/ws?user=ann" } = process.env;

await using client = new WebSocketClient(url, { subprotocols: ["roomcast.v1"] });
client.on("reconnecting", ({ attempt, delayMs }) => {
  console.error(`lost; attempt ${attempt} in ${delayMs} ms`);
});
client.on("gap", ({ room }) => console.error(`messages of ${room} are lost: load it anew`));
client.join("lobby"); // on this connection and on every later one
await client.connect();
await client.request({ type: "room_message", room: "lobby", data: "hello" }); // handled, when this resolves

for await (const message of client) {
  console.log(message); // over reconnections, each message once and in order
  if (String(message).includes("goodbye")) break;
}
