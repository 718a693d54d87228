/**
 * Sign in: one form for accounts with a password, and one button for each provider with its own page.
 *
 * @module
 */

import { useState } from "preact/hooks";
import { ApiError, request } from "../api.ts";
import { useAction, useResource, useTitle } from "../hooks.ts";
import { Failure, Field, Form, Select } from "../parts/form.tsx";
import { Loading } from "../parts/loading.tsx";
import { type Key, t } from "../text.ts";
import type { Me, SignInProvider } from "../types.ts";

/** Why a sign-in at a provider failed: codes in the address's fragment, and their texts. */
const FAILED: ReadonlyMap<string, Key> = new Map([
  ["provider-failed", "sign-in.provider-failed"],
  ["account-disabled", "sign-in.disabled"],
  ["too-many-attempts", "error.too-many-attempts"],
]);

/** The screen. */
export function SignIn({ onSignedIn }: { onSignedIn: (me: Me) => void }) {
  useTitle(t("sign-in.title"));
  const { data, error } = useResource<SignInProvider[]>("sign-in/providers");
  const providers = data ?? [];
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [codeNeeded, setCodeNeeded] = useState(false);
  const directories = providers.filter(({ kind }) => kind !== "oidc");
  const [provider, setProvider] = useState<string>();
  const action = useAction();
  const failed = FAILED.get(new URLSearchParams(location.hash.slice(1)).get("sign-in-failed") ?? "");

  const signIn = () =>
    action.run(async () => {
      const chosen = provider ?? directories[0]?.id;
      const body = { ...(chosen && { provider: chosen }), name, password, ...(code && { code }) };
      try {
        onSignedIn(await request<Me>("POST", "sign-in", { body, signingIn: true }));
      } catch (error) {
        if (!(error instanceof ApiError && error.code === "code-needed")) throw error;
        setCodeNeeded(true);
      }
    });

  // Shown at once, because fields that move while somebody types in them are a nuisance.
  if (data === undefined && error === undefined) return <Loading />;
  return (
    <>
      <h1>{t("sign-in.title")}</h1>
      {failed && <p class="notice bad" role="alert">{t(failed)}</p>}
      {providers.filter(({ kind }) => kind === "oidc").map(({ id, name }) => (
        <a key={id} class="button" href={`/sign-in/oidc/${encodeURIComponent(id)}`}>
          {t("sign-in.with", { name })}
        </a>
      ))}
      <Form onSubmit={signIn}>
        {directories.length > 1 && (
          <Select
            label={t("sign-in.provider")}
            value={provider ?? directories[0]!.id}
            onValue={setProvider}
            options={directories.map(({ id, kind, name }) => [
              id,
              kind === "local" ? t("sign-in.local") : name,
            ])}
          />
        )}
        <Field
          label={t("sign-in.name")}
          value={name}
          onValue={setName}
          autocomplete="username"
          required
          autofocus
        />
        <Field
          label={t("sign-in.password")}
          type="password"
          value={password}
          onValue={setPassword}
          autocomplete="current-password"
          required
        />
        {codeNeeded && (
          <Field
            label={t("sign-in.code")}
            hint={t("sign-in.code-hint")}
            value={code}
            onValue={setCode}
            autocomplete="one-time-code"
            inputMode="numeric"
            required
            autofocus
          />
        )}
        <Failure error={action.error} />
        <button type="submit" class="primary" disabled={action.busy}>{t("sign-in.submit")}</button>
      </Form>
    </>
  );
}
