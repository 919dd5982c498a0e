import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { type Answer, announce, kick, presenceOf, usersOf } from "../operator.ts";

/** Looks up who is where, sends people away, and speaks to all. */
export function Lookup(): JSX.Element {
  const [name, setName] = useState("");
  const [kind, setKind] = useState<"user" | "room">("user");
  const [found, setFound] = useState<{ user?: string; text: readonly string[] }>();

  const look = async (): Promise<void> => {
    const answer = await (kind === "user" ? presenceOf(name) : usersOf(name)).catch(noAnswer);
    const text = kind === "user" ? describeUser(name, answer) : describeRoom(name, answer);
    setFound(kind === "user" && answer.status === 200 ? { user: name, text } : { text });
  };
  const sendAway = async (user: string): Promise<void> => {
    const { status, body } = await kick(user).catch(noAnswer);
    setFound({ text: [status < 300 ? `${user} was disconnected everywhere.` : problem(body)] });
  };

  return (
    <div class="panels">
      <section class="panel">
        <h2>Look up</h2>
        <form
          class="line"
          onSubmit={(event) => {
            event.preventDefault();
            if (name !== "") void look();
          }}
        >
          <select
            aria-label="What to look up"
            value={kind}
            onChange={({ currentTarget }) =>
              setKind(currentTarget.value === "room" ? "room" : "user")
            }
          >
            <option value="user">User</option>
            <option value="room">Room</option>
          </select>
          <input
            aria-label="Name"
            name="name"
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
          <button class="button-primary" type="submit">
            Look up
          </button>
        </form>
        <div class="found" role="status">
          {found?.text.map((line) => (
            <p key={line}>{line}</p>
          ))}
          {found?.user !== undefined && (
            <button
              class="button-danger"
              type="button"
              onClick={() => void sendAway(found.user ?? "")}
            >
              Disconnect {found.user}
            </button>
          )}
        </div>
      </section>
      <Announcement />
    </div>
  );
}

function Announcement(): JSX.Element {
  const [text, setText] = useState("");
  const [room, setRoom] = useState("");
  const [result, setResult] = useState("");
  const say = async (): Promise<void> => {
    const { status, body } = await announce(text, room).catch(noAnswer);
    const scope = field(body, "scope");
    setResult(status === 200 ? `Sent, as far as: ${scope}.` : problem(body));
    if (status === 200) setText("");
  };
  return (
    <section class="panel">
      <h2>Announce</h2>
      <form
        class="line"
        onSubmit={(event) => {
          event.preventDefault();
          if (text !== "") void say();
        }}
      >
        <input
          aria-label="Room; empty: everybody"
          placeholder="everybody"
          name="room"
          value={room}
          onInput={(event) => setRoom(event.currentTarget.value)}
        />
        <input
          aria-label="Text"
          placeholder="What to say"
          name="text"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button class="button-primary" type="submit">
          Send
        </button>
      </form>
      <p class="found" role="status">
        {result}
      </p>
    </section>
  );
}

function describeUser(name: string, { status, body }: Answer): string[] {
  if (status !== 200) return [problem(body)];
  const instances = field(body, "instances");
  if (!Array.isArray(instances) || instances.length === 0) return [`${name} is not online.`];
  return instances.map((one) => {
    const since = new Date(Number(field(one, "connectedAt"))).toLocaleString();
    return `${name} is on ${field(one, "instance")} since ${since}.`;
  });
}

function describeRoom(name: string, { status, body }: Answer): string[] {
  const users = field(body, "users");
  if (status !== 200 || !Array.isArray(users)) return [problem(body)];
  if (users.length === 0) return [`Nobody is in ${name}.`];
  return [`${users.length} in ${name}: ${users.join(", ")}`];
}

function problem(body: unknown): string {
  return String(field(body, "message") ?? "The server did not answer.");
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function noAnswer(): Answer {
  return { status: 0, body: null };
}
