import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { nameProblem, rememberedName, type Session, tokenSubject } from "../session.ts";
import { Mark } from "./icon.tsx";

/** Asks who the user is: a name, or an access token where the server wants one. */
export function SignIn({ onSignIn }: { onSignIn(session: Session): void }): JSX.Element {
  const [name, setName] = useState(rememberedName);
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState<string>();
  const nameField = useRef<HTMLInputElement>(null);

  useEffect(() => nameField.current?.select(), []);

  const submit = (event: Event) => {
    event.preventDefault();
    const given = token.trim();
    const user = given ? tokenSubject(given) : name.trim();
    const found = user === undefined ? "That is not an access token." : nameProblem(user);
    setProblem(found);
    if (found || user === undefined) nameField.current?.focus();
    else onSignIn(given ? { user, token: given } : { user });
  };

  return (
    <main class="sign-in">
      <form class="sign-in-card" onSubmit={submit}>
        <Mark />
        <h1>Roomcast</h1>
        <p class="sign-in-lead">Rooms, people and messages, live.</p>
        <label class="field">
          <span>Your name</span>
          <input
            ref={nameField}
            name="name"
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
            autocomplete="nickname"
            maxLength={64}
            aria-describedby="name-problem"
            aria-invalid={problem !== undefined}
            disabled={token !== ""}
          />
        </label>
        <p class="problem" id="name-problem" role="alert">
          {problem}
        </p>
        <button class="button-primary" type="submit">
          Join the chat
        </button>
        <details>
          <summary>I have an access token</summary>
          <label class="field">
            <span>Token (JWT)</span>
            <input
              type="password"
              name="token"
              value={token}
              onInput={(event) => setToken(event.currentTarget.value)}
              autocomplete="off"
              spellcheck={false}
            />
          </label>
          <p class="hint">Needed where the server checks who you are. Your name is in it.</p>
        </details>
      </form>
    </main>
  );
}
