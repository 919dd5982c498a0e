import { type FormEvent, StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { useRoom, useRoomcast } from "roomcast/react";

interface Message {
  readonly from: string;
  readonly text: string;
}

const url = new URL(`/chat${location.search}`, location.href.replace("http", "ws")).href;

function App() {
  const [here, setHere] = useState(true);
  return here ? <Chat onLeave={() => setHere(false)} /> : <p>Goodbye.</p>;
}

/** Its connection is there as long as it is. */
function Chat({ onLeave }: { onLeave(): void }) {
  const [room, setRoom] = useState("lobby");
  const { client, state, error } = useRoomcast(url, { subprotocols: ["roomcast.v1"] });
  const { messages, gaps } = useRoom<Message>(client, room);

  const say = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = event.currentTarget;
    const text = String(new FormData(form).get("text"));
    // Answered when the server has handled it, also if the connection is lost meanwhile.
    client.request({ type: "say", room, text }).then(
      () => form.reset(),
      (reason: Error) => alert(reason.message),
    );
  };

  return (
    <main>
      <p role="status">
        {state} {error?.message}
      </p>
      <label>
        Room{" "}
        <select value={room} onChange={(event) => setRoom(event.target.value)}>
          <option>lobby</option>
          <option>kitchen</option>
        </select>
      </label>
      {gaps > 0 && <p>Some messages are missing.</p>}
      <ul>
        {messages.map(({ from, text }, index) => (
          <li key={index}>
            {from}: {text}
          </li>
        ))}
      </ul>
      <form onSubmit={say}>
        <input name="text" aria-label="Message" required />
        <button type="submit">Send</button>
      </form>
      <button type="button" onClick={onLeave}>
        Leave
      </button>
    </main>
  );
}

const root = document.getElementById("root");
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
