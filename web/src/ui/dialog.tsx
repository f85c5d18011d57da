// Asking before something is done, and saying afterwards what came of it.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiFailure } from "../api/client";
import type { Question } from "../app/context";
import { Icon } from "./icon";

/** The browser's own modal dialog: it keeps the focus inside, and Escape closes it. Without `close` it stays open. */
export function Dialog({
  title,
  close,
  children,
}: {
  title: string;
  close: (() => void) | null;
  children: ComponentChildren;
}) {
  const box = useRef<HTMLDialogElement>(null);
  const leaving = useRef(false);
  useEffect(() => {
    const element = box.current;
    element?.showModal();
    return () => {
      leaving.current = true;
      element?.close();
    };
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes it, which the browser does by itself
    <dialog
      ref={box}
      class="dialog"
      aria-labelledby="dialog-title"
      onCancel={(event) => {
        event.preventDefault();
        close?.();
      }}
      onClose={() => {
        // a second Escape closes it whatever we say
        if (leaving.current) return;
        if (close) close();
        else box.current?.showModal();
      }}
      onClick={(event) => {
        if (event.target === box.current) close?.();
      }}
    >
      <div class="dialog-in">
        <h2 id="dialog-title">{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

export function Confirm({
  question,
  close,
  say,
}: {
  question: Question;
  close: () => void;
  say: (text: string) => void;
}) {
  const [option, setOption] = useState(question.option?.on ?? false);
  const [number, setNumber] = useState(question.number?.value ?? 0);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const [progress, setProgress] = useState("");
  const now = question.option?.rephrase(option) ?? question.number?.rephrase(number) ?? question;
  const run = async () => {
    setBusy(true);
    setError("");
    try {
      const said = await question.run(option, number, setProgress);
      close();
      say(said);
    } catch (failure) {
      setError(failure instanceof ApiFailure ? failure.message : String(failure));
      setBusy(false);
    }
  };
  return (
    <Dialog title={now.title} close={close}>
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        {question.number ? (
          <label class="field">
            {question.number.label}
            <input
              type="number"
              min={question.number.least}
              max={question.number.most}
              value={number}
              required
              onInput={(event) => setNumber(Number(event.currentTarget.value))}
            />
          </label>
        ) : null}
        <ul class="lines">
          {now.lines.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
        {now.refused.map((line) => (
          <p class="notice tone-wait" key={line}>
            <Icon name="warn" />
            <span>{line}</span>
          </p>
        ))}
        {question.option ? (
          <label class="check">
            <input type="checkbox" checked={option} onChange={(event) => setOption(event.currentTarget.checked)} />
            {question.option.label}
          </label>
        ) : null}
        {error ? (
          <p class="notice tone-bad" role="alert">
            <Icon name="warn" />
            <span>{error}</span>
          </p>
        ) : null}
        <div class="dialog-buttons">
          <button type="button" class="button" onClick={close}>
            Cancel
          </button>
          <button
            type="submit"
            class={`button ${now.danger ? "danger" : "primary"}`}
            disabled={busy || now.idle === true}
          >
            {busy ? progress || "…" : now.verb}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

export function LogIn({
  ways,
  run,
  close,
}: {
  ways: readonly string[];
  run: (secret: { token: string } | { user: string; password: string }) => Promise<void>;
  close: (() => void) | null;
}) {
  const [way, setWay] = useState(ways.includes("token") || !ways.length ? "token" : "password");
  const [token, setToken] = useState("");
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const form = (
    <form
      method="dialog"
      onSubmit={(event) => {
        event.preventDefault();
        setBusy(true);
        setError("");
        run(way === "token" ? { token: token.trim() } : { user, password })
          .catch((failure: unknown) => setError(failure instanceof ApiFailure ? failure.message : String(failure)))
          .finally(() => setBusy(false));
      }}
    >
      {ways.includes("token") && ways.includes("password") ? (
        <div class="segments" role="group" aria-label="Log in with">
          {["token", "password"].map((one) => (
            <button type="button" key={one} aria-pressed={way === one} onClick={() => setWay(one)}>
              {one === "token" ? "Token" : "Password"}
            </button>
          ))}
        </div>
      ) : null}
      {way === "token" ? (
        <>
          <label class="field">
            Token
            <input
              type="password"
              name="token"
              autocomplete="off"
              value={token}
              required
              onInput={(event) => setToken(event.currentTarget.value)}
            />
          </label>
          <p class="hint">
            An administrator makes one on the head node: <code>dynamiccluster token add NAME --role operator</code>
          </p>
        </>
      ) : (
        <>
          <label class="field">
            User
            <input
              autocomplete="username"
              value={user}
              required
              onInput={(event) => setUser(event.currentTarget.value)}
            />
          </label>
          <label class="field">
            Password
            <input
              type="password"
              autocomplete="current-password"
              value={password}
              required
              onInput={(event) => setPassword(event.currentTarget.value)}
            />
          </label>
        </>
      )}
      {error ? (
        <p class="notice tone-bad" role="alert">
          <Icon name="warn" />
          <span>{error}</span>
        </p>
      ) : null}
      <div class="dialog-buttons">
        {close ? (
          <button type="button" class="button" onClick={close}>
            Cancel
          </button>
        ) : null}
        <button type="submit" class="button primary" disabled={busy}>
          Log in
        </button>
      </div>
    </form>
  );
  return (
    <Dialog title="Log in" close={close}>
      {form}
    </Dialog>
  );
}
