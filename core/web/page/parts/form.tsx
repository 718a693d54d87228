/**
 * Fields, buttons and their errors.
 *
 * @module
 */

import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api.ts";
import { errorText } from "../error_text.ts";
import { t } from "../text.ts";
import { ConnectionLine } from "./connection.tsx";

interface FieldProps {
  readonly label: string;
  readonly hint?: string | undefined;
  readonly error?: string | undefined;
  readonly value: string;
  readonly onValue: (value: string) => void;
}

/** A labelled field with a hint and an error. */
export function Field(
  { label, hint, error, value, onValue, required, type = "text", ...rest }: FieldProps & {
    type?: "text" | "password" | "email" | "number" | "datetime-local";
    required?: boolean;
    readOnly?: boolean;
    autofocus?: boolean;
    autocomplete?: "off" | "username" | "current-password" | "new-password" | "one-time-code";
    inputMode?: "numeric";
    minLength?: number;
    maxLength?: number;
    min?: number;
    spellcheck?: boolean;
  },
) {
  const id = useId();
  return (
    <div class="field">
      <FieldLabel id={id} label={label} optional={!required} />
      <input
        {...rest}
        // Preact's types have one shape for each type of input, and take no union of types.
        type={type as "text"}
        id={id}
        value={value}
        required={required}
        aria-invalid={error ? true : undefined}
        aria-describedby={described(id, hint, error)}
        onInput={(event) => onValue(event.currentTarget.value)}
      />
      <FieldNotes id={id} hint={hint} error={error} />
    </div>
  );
}

/** A labelled field of several lines. */
export function TextArea({ label, hint, error, value, onValue }: FieldProps) {
  const id = useId();
  return (
    <div class="field">
      <FieldLabel id={id} label={label} optional />
      <textarea
        id={id}
        rows={4}
        spellcheck={false}
        value={value}
        aria-invalid={error ? true : undefined}
        aria-describedby={described(id, hint, error)}
        onInput={(event) => onValue(event.currentTarget.value)}
      />
      <FieldNotes id={id} hint={hint} error={error} />
    </div>
  );
}

/** A choice between a few values. */
export function Select(
  { label, value, onValue, options, inline = false }: {
    label: string;
    value: string;
    onValue: (value: string) => void;
    options: readonly (readonly [value: string, text: string])[];
    inline?: boolean;
  },
) {
  const id = useId();
  return (
    <div class={inline ? "field inline" : "field"}>
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onValue(event.currentTarget.value)}>
        {options.map(([value, text]) => <option key={value} value={value}>{text}</option>)}
      </select>
    </div>
  );
}

/** A checkbox. */
export function Checkbox(
  { label, checked, onChecked }: { label: string; checked: boolean; onChecked: (checked: boolean) => void },
) {
  return (
    <label class="check">
      <input type="checkbox" checked={checked} onChange={(event) => onChecked(event.currentTarget.checked)} />
      {label}
    </label>
  );
}

function FieldLabel({ id, label, optional }: { id: string; label: string; optional: boolean }) {
  return (
    <label for={id}>
      {label}
      {optional && <span class="optional">{t("optional")}</span>}
    </label>
  );
}

function FieldNotes(
  { id, hint, error }: { id: string; hint: string | undefined; error: string | undefined },
) {
  return (
    <>
      {hint && <p class="hint" id={`${id}-hint`}>{hint}</p>}
      {error && <p class="field-error" id={`${id}-error`}>{error}</p>}
    </>
  );
}

function described(id: string, hint: string | undefined, error: string | undefined): string | undefined {
  const ids = [hint && `${id}-hint`, error && `${id}-error`].filter((text) => text);
  return ids.length > 0 ? ids.join(" ") : undefined;
}

/** A form that is submitted without loading a page. */
export function Form(
  { onSubmit, children, ...rest }: { onSubmit: () => void; children: ComponentChildren; class?: string },
) {
  const submit = (event: Event) => {
    event.preventDefault();
    onSubmit();
  };
  return <form onSubmit={submit} {...rest}>{children}</form>;
}

/** An error, which screen readers announce at once. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  if (error === undefined) return null;
  // What does not exist is not there after another try.
  const isGone = error instanceof ApiError && error.status === 404;
  return (
    <div class="notice bad" role="alert">
      <p>{errorText(error)}</p>
      {retry && !isGone && <button type="button" class="quiet" onClick={retry}>{t("retry")}</button>}
    </div>
  );
}

/** A button that copies a text to the clipboard and confirms it. */
export function CopyButton({ text, label }: { text: string; label?: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 2_000);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = () => navigator.clipboard?.writeText(text).then(() => setCopied(true), () => {});
  // A page that was loaded over plain HTTP has no access to the clipboard.
  if (!navigator.clipboard) return null;
  return (
    <button
      type="button"
      class="quiet"
      onClick={copy}
      aria-label={label ? `${t("copy")}: ${label}` : undefined}
    >
      {copied ? t("copied") : t("copy")}
      <span class="hidden" role="status">{copied ? t("copied") : ""}</span>
    </button>
  );
}

/** A dialog over the page. The focus stays in it, and then returns to where it was before. */
export function Dialog(
  { title, onClose, children }: { title: string; onClose: () => void; children: ComponentChildren },
) {
  const dialog = useRef<HTMLDialogElement>(null);
  const closed = useRef(onClose);
  closed.current = onClose;
  const id = useId();
  // Not later, because closing one dialog may open the next.
  useLayoutEffect(() => {
    const element = dialog.current!;
    const listener = () => closed.current();
    const opener = document.activeElement;
    element.addEventListener("close", listener);
    element.showModal();
    return () => {
      // The event may arrive when another dialog is already open.
      element.removeEventListener("close", listener);
      element.close();
      // The browser restores the focus only if the dialog is still in the document.
      if (opener instanceof HTMLElement) opener.focus();
    };
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      <ConnectionLine />
      {children}
    </dialog>
  );
}

/** A form in a dialog: its fields, its error, and the buttons that close it. `more` is shown before the buttons. */
export function DialogForm(
  { title, submit, onSubmit, onClose, busy, error, more, children }: {
    title: string;
    submit: string;
    onSubmit: () => void;
    onClose: () => void;
    busy: boolean;
    error: unknown;
    more?: ComponentChildren;
    children: ComponentChildren;
  },
) {
  return (
    <Dialog title={title} onClose={onClose}>
      <Form onSubmit={onSubmit}>
        {children}
        <Failure error={error} />
        <div class="actions">
          {more}
          <button type="button" class="quiet" onClick={onClose}>{t("cancel")}</button>
          <button type="submit" class="primary" disabled={busy}>{submit}</button>
        </div>
      </Form>
    </Dialog>
  );
}

/** A dialog that asks for confirmation before something that cannot be undone. */
export function Confirm(
  { title, text, action, onConfirm, onClose, busy, error }: {
    title: string;
    text: string;
    action: string;
    onConfirm: () => void;
    onClose: () => void;
    busy: boolean;
    error: unknown;
  },
) {
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{text}</p>
      <Failure error={error} />
      <div class="actions">
        <button type="button" class="quiet" onClick={onClose}>{t("cancel")}</button>
        <button type="button" class="danger" onClick={onConfirm} disabled={busy}>{action}</button>
      </div>
    </Dialog>
  );
}
