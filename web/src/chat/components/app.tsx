import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { currentSession, endSession, type Session, startSession } from "../session.ts";
import { ChatScreen } from "./chat-screen.tsx";
import { SignIn } from "./sign-in.tsx";

/** The whole page: who are you, then the chat. */
export function App(): JSX.Element {
  const [session, setSession] = useState(currentSession);
  const signIn = (next: Session) => {
    startSession(next);
    setSession(next);
  };
  const signOut = () => {
    endSession();
    setSession(undefined);
  };
  if (!session) return <SignIn onSignIn={signIn} />;
  return <ChatScreen session={session} onSignOut={signOut} />;
}
