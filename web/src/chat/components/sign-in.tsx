import type { JSX, RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { askForAccess } from "../access.ts";
import { nameProblem, rememberedName, type Session, tokenSubject } from "../session.ts";
import { Mark } from "./icon.tsx";

/** Asks who the user is: a name, or an access token where the server wants one. */
export function SignIn({ onSignIn }: { onSignIn(session: Session): void }): JSX.Element {
  const [name, setName] = useState(rememberedName);
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState<string>();
  const [needsToken, setNeedsToken] = useState(false);
  const firstField = useRef<HTMLInputElement>(null);

  useEffect(() => {
    void askForAccess().then((access) => setNeedsToken(access?.token === true));
  }, []);
  useEffect(() => firstField.current?.select(), [needsToken]);

  const submit = (event: Event) => {
    event.preventDefault();
    const given = token.trim();
    const user = given || needsToken ? tokenSubject(given) : name.trim();
    const found = user === undefined ? "That is not an access token." : nameProblem(user);
    setProblem(found);
    if (found || user === undefined) firstField.current?.focus();
    else onSignIn(given ? { user, token: given } : { user });
  };

  return (
    <main class="sign-in">
      <form class="sign-in-card" onSubmit={submit}>
        <Mark />
        <h1>Roomcast</h1>
        <p class="sign-in-lead">Rooms, people and messages, live.</p>
        {needsToken ? (
          <>
            <TokenField field={firstField} token={token} onToken={setToken} problem={problem} />
            <p class="hint">This server checks who you are. Your name is in the token.</p>
          </>
        ) : (
          <label class="field">
            <span>Your name</span>
            <input
              ref={firstField}
              name="name"
              value={name}
              onInput={(event) => setName(event.currentTarget.value)}
              autocomplete="nickname"
              maxLength={64}
              aria-describedby="sign-in-problem"
              aria-invalid={problem !== undefined}
              disabled={token !== ""}
            />
          </label>
        )}
        <p class="problem" id="sign-in-problem" role="alert">
          {problem}
        </p>
        <button class="button-primary" type="submit">
          Join the chat
        </button>
        {!needsToken && (
          <details>
            <summary>I have an access token</summary>
            <TokenField token={token} onToken={setToken} problem={undefined} />
            <p class="hint">Needed where the server checks who you are. Your name is in it.</p>
          </details>
        )}
      </form>
    </main>
  );
}

interface TokenFieldProps {
  field?: RefObject<HTMLInputElement | null>;
  token: string;
  problem: string | undefined;
  onToken(token: string): void;
}

function TokenField({ field, token, problem, onToken }: TokenFieldProps) {
  return (
    <label class="field">
      <span>Token (JWT)</span>
      <input
        ref={field ?? null}
        type="password"
        name="token"
        value={token}
        onInput={(event) => onToken(event.currentTarget.value)}
        autocomplete="off"
        spellcheck={false}
        aria-describedby="sign-in-problem"
        aria-invalid={problem !== undefined}
      />
    </label>
  );
}
