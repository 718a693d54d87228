/**
 * Settings: API tokens, HTTPS, backup.
 *
 * @module
 */

import { useState } from "preact/hooks";
import { post, remove } from "../api.ts";
import { useAction, useNow, useResource, useTitle } from "../hooks.ts";
import { Checkbox, Confirm, CopyButton, Failure, Field, Form } from "../parts/form.tsx";
import { Loading } from "../parts/loading.tsx";
import { formatAgo, formatTime, t, tIfKnown } from "../text.ts";

interface Token {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly createdAt: string;
  readonly usedAt: string | null;
}

interface SettingsAnswer {
  readonly fingerprint: string | null;
  readonly certificateEnds: string | null;
  readonly certificateProblem: string | null;
}

/** What a token can be allowed to do. */
const SCOPES = ["devices"] as const;

/** The screen. */
export function Settings() {
  useTitle(t("settings.title"));
  const { data: settings } = useResource<SettingsAnswer>("settings");
  return (
    <>
      <header class="head">
        <h1>{t("settings.title")}</h1>
      </header>
      <Tokens />
      {settings?.fingerprint && (
        <section class="card">
          <h2>{t("settings.https")}</h2>
          <p class="hint">{t("settings.fingerprint")}</p>
          <p>
            <code>{settings.fingerprint}</code> <CopyButton text={settings.fingerprint} />
          </p>
          {settings.certificateProblem && settings.certificateEnds && (
            <p class="notice bad" role="status">
              {t("settings.certificate-problem", { time: formatTime(settings.certificateEnds) })}
            </p>
          )}
        </section>
      )}
      <Backup />
      <section class="card">
        <h2>{t("settings.api")}</h2>
        <p>
          <a href="/api/v1/openapi.json">{t("settings.api-link")}</a>
        </p>
      </section>
    </>
  );
}

function Tokens() {
  const { data, error, reload } = useResource<readonly Token[]>("tokens");
  const [made, setMade] = useState<{ name: string; token: string }>();
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<readonly string[]>(SCOPES);
  const [removing, setRemoving] = useState<Token>();
  const now = useNow(30);
  const add = useAction();
  const removal = useAction();
  const make = () =>
    add.run(async () => {
      setMade({ name, ...await post<{ token: string }>("tokens", { name, scopes }) });
      setName("");
      reload();
    });
  const removeToken = ({ id }: Token) =>
    removal.run(async () => {
      await remove(`tokens/${id}`);
      setRemoving(undefined);
      reload();
    });
  return (
    <section class="card">
      <h2>{t("settings.tokens")}</h2>
      <p class="hint">{t("settings.tokens-text")}</p>
      <Failure error={error} retry={reload} />
      <Loading until={data ?? error} />
      {data?.length === 0 && <p class="empty">{t("settings.tokens-empty")}</p>}
      <ul class="rows">
        {data?.map((token) => (
          <li key={token.id}>
            <span class="grow">
              <strong>{token.name}</strong>
              <span class="hint">
                {token.scopes.map(scopeText).join(", ")} · {token.usedAt
                  ? t("settings.token-used", { when: formatAgo(token.usedAt, now) })
                  : t("settings.token-unused")}
              </span>
            </span>
            <button
              type="button"
              class="quiet bad"
              aria-label={`${t("remove")}: ${token.name}`}
              onClick={() => setRemoving(token)}
            >
              {t("remove")}
            </button>
          </li>
        ))}
      </ul>
      {made && (
        <div class="notice good" role="status">
          <p>{t("settings.token-once")}</p>
          <code>{made.token}</code> <CopyButton text={made.token} label={made.name} />
        </div>
      )}
      <Form onSubmit={make} class="narrow">
        <Field
          label={t("settings.token-name")}
          error={add.errorOf("name")}
          value={name}
          onValue={setName}
          maxLength={64}
          required
        />
        <fieldset>
          <legend>{t("settings.token-scopes")}</legend>
          {SCOPES.map((scope) => (
            <Checkbox
              key={scope}
              label={scopeText(scope)}
              checked={scopes.includes(scope)}
              onChecked={(checked) =>
                setScopes(checked ? [...scopes, scope] : scopes.filter((each) => each !== scope))}
            />
          ))}
        </fieldset>
        <Failure error={add.error} />
        <button type="submit" disabled={add.busy || scopes.length === 0}>{t("settings.token-add")}</button>
      </Form>
      {removing && (
        <Confirm
          title={t("settings.token-remove-title", { name: removing.name })}
          text={t("settings.token-remove-text")}
          action={t("remove")}
          busy={removal.busy}
          error={removal.error}
          onConfirm={() => removeToken(removing)}
          onClose={() => setRemoving(undefined)}
        />
      )}
    </section>
  );
}

function Backup() {
  const { run, busy, error } = useAction();
  const save = () =>
    run(async () => {
      const response = await fetch("/api/v1/backup", { method: "POST", credentials: "same-origin" });
      if (!response.ok) throw new Error(t("error.failed", { status: response.status }));
      const url = URL.createObjectURL(await response.blob());
      const link = document.createElement("a");
      link.href = url;
      link.download = `wgd-${new Date().toISOString().slice(0, 10)}.backup`;
      link.click();
      URL.revokeObjectURL(url);
    });
  return (
    <section class="card">
      <h2>{t("settings.backup")}</h2>
      <p class="hint">{t("settings.backup-text")}</p>
      <Failure error={error} />
      <button type="button" disabled={busy} onClick={save}>{t("settings.backup-save")}</button>
    </section>
  );
}

function scopeText(scope: string): string {
  return tIfKnown(`word.scopes.${scope}`) ?? scope;
}
