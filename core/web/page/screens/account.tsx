/**
 * The user's own account: password, second factor, sessions, and the preferences of this browser.
 *
 * @module
 */

import { useState } from "preact/hooks";
import { agentName } from "../agent.ts";
import { post, remove, request } from "../api.ts";
import { useAction, useNow, useResource, useTitle } from "../hooks.ts";
import { Failure, Field, Form } from "../parts/form.tsx";
import { Loading } from "../parts/loading.tsx";
import { Preferences } from "../parts/preferences.tsx";
import { QrCode } from "../parts/qr.tsx";
import { SHORTEST_PASSWORD } from "../password_rule.ts";
import { useSession } from "../session.ts";
import { formatAgo, t } from "../text.ts";

interface SessionRow {
  readonly id: string;
  readonly createdAt: string;
  readonly lastSeenAt: string | null;
  readonly address: string | null;
  readonly userAgent: string | null;
  readonly current: boolean;
}

/** The screen. */
export function Account() {
  useTitle(t("account.title"));
  const { me, signOut } = useSession();
  return (
    <>
      <header class="head">
        <h1>{t("account.title")}</h1>
        <p class="count">{me.user.name}</p>
        <button type="button" class="quiet" onClick={signOut}>{t("sign-out")}</button>
      </header>
      <section class="card">
        <Preferences />
      </section>
      {me.hasPassword && <Password />}
      {me.hasPassword && <Totp />}
      <Sessions />
    </>
  );
}

function Password() {
  const [old, setOld] = useState("");
  const [next, setNext] = useState("");
  const [changed, setChanged] = useState(false);
  const { run, busy, error, errorOf } = useAction();
  const change = () =>
    run(async () => {
      setChanged(false);
      await request("POST", "me/password", { body: { old, new: next }, signingIn: true });
      setOld("");
      setNext("");
      setChanged(true);
    });
  return (
    <section class="card">
      <h2>{t("account.password")}</h2>
      <Form onSubmit={change} class="narrow">
        <Field
          label={t("account.old")}
          error={errorOf("old")}
          type="password"
          value={old}
          onValue={setOld}
          autocomplete="current-password"
          required
        />
        <Field
          label={t("account.new")}
          error={errorOf("new")}
          hint={t("setup.password-hint", { n: SHORTEST_PASSWORD })}
          type="password"
          value={next}
          onValue={setNext}
          autocomplete="new-password"
          minLength={SHORTEST_PASSWORD}
          required
        />
        <Failure error={error} />
        <p role="status" class={changed ? "notice good" : ""}>{changed && t("account.changed")}</p>
        <button type="submit" disabled={busy}>{t("account.change")}</button>
      </Form>
    </section>
  );
}

function Totp() {
  const { me, refresh } = useSession();
  const [uri, setUri] = useState<string>();
  const [code, setCode] = useState("");
  const { run, busy, error } = useAction();
  const start = () => run(async () => setUri((await post<{ uri: string }>("me/totp")).uri));
  const confirm = () =>
    run(async () => {
      await request("POST", "me/totp", { body: { code }, signingIn: true });
      setUri(undefined);
      setCode("");
      await refresh();
    });
  return (
    <section class="card">
      <h2>{t("account.totp")}</h2>
      <p>{t(me.totp ? "account.totp-on" : "account.totp-text")}</p>
      <Failure error={error} />
      {me.totp && <TotpOff />}
      {!me.totp && !uri && (
        <div>
          <button type="button" disabled={busy} onClick={start}>{t("account.totp-start")}</button>
        </div>
      )}
      {!me.totp && uri && (
        <Form onSubmit={confirm} class="narrow">
          <p>{t("account.totp-scan")}</p>
          <QrCode text={uri} label={t("account.totp-qr")} />
          <Field
            label={t("sign-in.code")}
            value={code}
            onValue={setCode}
            autocomplete="one-time-code"
            inputMode="numeric"
            required
            autofocus
          />
          <button type="submit" class="primary" disabled={busy}>{t("account.totp-confirm")}</button>
        </Form>
      )}
    </section>
  );
}

function TotpOff() {
  const { refresh } = useSession();
  const [code, setCode] = useState("");
  const { run, busy, error, errorOf } = useAction();
  const turnOff = () =>
    run(async () => {
      await request("DELETE", "me/totp", { body: { code }, signingIn: true });
      await refresh();
    });
  return (
    <Form onSubmit={turnOff} class="narrow">
      <Field
        label={t("sign-in.code")}
        hint={t("sign-in.code-hint")}
        error={errorOf("code")}
        value={code}
        onValue={setCode}
        autocomplete="one-time-code"
        inputMode="numeric"
        required
      />
      <Failure error={error} />
      <button type="submit" disabled={busy}>{t("account.totp-remove")}</button>
    </Form>
  );
}

function Sessions() {
  const { data: sessions, error, reload } = useResource<readonly SessionRow[]>("me/sessions");
  const now = useNow(30);
  const action = useAction();
  const end = (id: string) =>
    action.run(async () => {
      await remove(`me/sessions/${id}`);
      reload();
    });
  return (
    <section class="card">
      <h2>{t("account.sessions")}</h2>
      <Failure error={error ?? action.error} retry={reload} />
      <Loading until={sessions ?? error} />
      <ul class="rows">
        {sessions?.map(({ id, createdAt, address, userAgent, current }) => (
          <li key={id}>
            <span class="grow">
              {current
                ? <strong>{t("account.session-this")}</strong>
                : userAgent === null
                ? address ?? id
                : agentName(userAgent)}
              <span class="hint">
                {t("account.session-since", { when: formatAgo(createdAt, now) })}
                {address && ` · ${address}`}
              </span>
            </span>
            {!current && (
              <button type="button" class="quiet" disabled={action.busy} onClick={() => end(id)}>
                {t("account.session-end")}
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
