import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Mark } from "../../chat/components/icon.tsx";
import type { Access } from "../operator.ts";

const PROBLEMS: Partial<Record<Access, string>> = {
  "wrong-key": "That is not the key of this server.",
  wait: "Too many wrong keys: wait a minute.",
};

/** Asks for the API key of the server, or says that no key helps. */
export function KeyForm({
  access,
  onKey,
}: {
  access: Access | undefined;
  onKey(key: string): void;
}): JSX.Element {
  const [key, setKey] = useState("");
  const submit = (event: Event): void => {
    event.preventDefault();
    if (key.trim() !== "") onKey(key.trim());
  };
  return (
    <main class="sign-in">
      <form class="sign-in-card" onSubmit={submit}>
        <Mark />
        <h1>Dashboard</h1>
        {access === "closed" ? (
          <p class="sign-in-lead">
            This is closed: it opens to an API key, and this server has none. Start it with
            ROOMCAST_API_KEY.
          </p>
        ) : (
          <>
            <p class="sign-in-lead">For those who run this server.</p>
            <label class="field">
              <span>API key</span>
              <input
                type="password"
                name="key"
                value={key}
                onInput={(event) => setKey(event.currentTarget.value)}
                autocomplete="current-password"
                spellcheck={false}
                aria-describedby="key-problem"
              />
            </label>
            <p class="problem" id="key-problem" role="alert">
              {access && PROBLEMS[access]}
            </p>
            <button class="button-primary" type="submit">
              Open the dashboard
            </button>
            <p class="hint">It is kept in this tab, and gone when you close it.</p>
          </>
        )}
      </form>
    </main>
  );
}
