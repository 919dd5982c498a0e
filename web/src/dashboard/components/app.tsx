import type { JSX } from "preact";
import { useCallback, useEffect, useState } from "preact/hooks";
import { type Access, checkAccess, setOperatorKey } from "../operator.ts";
import { Board } from "./board.tsx";
import { KeyForm } from "./key-form.tsx";

/** The dashboard, or what is in the way. */
export function App(): JSX.Element {
  const [access, setAccess] = useState<Access>();
  const check = useCallback(() => {
    checkAccess().then(setAccess, () => setAccess(undefined));
  }, []);
  useEffect(check, [check]);

  if (access === "open") return <Board />;
  const give = (key: string): void => {
    setOperatorKey(key);
    check();
  };
  return <KeyForm access={access} onKey={give} />;
}
