/**
 * The settings of a sign-in provider.
 *
 * @module
 */

import { useState } from "preact/hooks";
import { patch, post } from "../api.ts";
import { useAction } from "../hooks.ts";
import { Checkbox, DialogForm, Field, Select, TextArea } from "../parts/form.tsx";
import { type Key, t } from "../text.ts";
import type { SignInProvider } from "../types.ts";

type Settings = Readonly<Record<string, string | boolean | undefined>>;

/** A provider with its settings. The server never returns the secret. */
export interface Provider extends SignInProvider {
  readonly settings?: Settings;
  /** Nobody can sign in with a provider that is not enabled. */
  readonly enabled: boolean;
  /** The result of the last comparison with a directory. */
  readonly sync: Sync | null;
}

/** A comparison of the users of this server with those of a directory. */
export interface Sync {
  readonly at: string;
  readonly state: "ok" | "held" | "failed";
  readonly message: string;
  readonly code: string;
  readonly values: Readonly<Record<string, string>>;
  /** Whether an administrator can confirm the changes. */
  readonly confirmable: boolean;
}

/** A setting that is a text: its name, label and hint, and whether it is required. */
type TextSetting = readonly [name: string, label: Key, hint?: Key | undefined, required?: boolean];

const LDAP: readonly TextSetting[] = [
  ["url", "providers.url", "providers.url-hint", true],
  ["baseDn", "providers.base", undefined, true],
  ["bindDn", "providers.bind-dn"],
];
const LDAP_MORE: readonly TextSetting[] = [
  ["userFilter", "providers.filter"],
  ["nameAttribute", "providers.name-attribute", "providers.name-attribute-hint"],
  ["groupBaseDn", "providers.group-base"],
];
const OIDC: readonly TextSetting[] = [
  ["issuer", "providers.issuer", "providers.issuer-hint", true],
  ["clientId", "providers.client-id", undefined, true],
];
const OIDC_MORE: readonly TextSetting[] = [["groupsClaim", "providers.groups-claim"]];

/** Adds or changes a provider. */
export function EditProvider(
  { kind, provider, onClose, onDone }: {
    kind: SignInProvider["kind"];
    provider?: Provider;
    onClose: () => void;
    onDone: () => void;
  },
) {
  const ldap = kind === "ldap";
  const [name, setName] = useState(provider?.name ?? "");
  const [enabled, setEnabled] = useState(provider?.enabled ?? true);
  const [secret, setSecret] = useState("");
  const [settings, setSettings] = useState<Settings>(
    provider?.settings ?? (ldap ? { shape: "openldap" } : {}),
  );
  const { run, busy, error, errorOf } = useAction();
  const set = (key: string, value: string | boolean) => setSettings({ ...settings, [key]: value });
  const save = () =>
    run(async () => {
      const given = Object.fromEntries(
        Object.entries(settings).filter(([, value]) => value !== "" && value !== null),
      );
      const body = { name, settings: given, enabled, ...(secret && { secret }) };
      if (provider) await patch(`providers/${provider.id}`, body);
      else await post("providers", { kind, ...body });
      onDone();
    });
  const texts = (list: readonly TextSetting[]) =>
    list.map(([key, label, hint, required = false]) => (
      <Field
        key={key}
        label={t(label)}
        hint={hint && t(hint)}
        error={errorOf(key)}
        value={String(settings[key] ?? "")}
        onValue={(value) => set(key, value)}
        spellcheck={false}
        required={required}
      />
    ));
  return (
    <DialogForm
      title={provider?.name ?? t(ldap ? "providers.add-ldap" : "providers.add-oidc")}
      submit={t("save")}
      onSubmit={save}
      onClose={onClose}
      busy={busy}
      error={error}
    >
      <Field
        label={t("providers.name")}
        error={errorOf("name")}
        value={name}
        onValue={setName}
        required
      />
      {ldap && (
        <Select
          label={t("providers.shape")}
          value={String(settings["shape"])}
          onValue={(value) => set("shape", value)}
          options={[["openldap", "OpenLDAP"], ["active-directory", "Active Directory"]]}
        />
      )}
      {texts(ldap ? LDAP : OIDC)}
      <Field
        label={t(ldap ? "providers.bind-password" : "providers.client-secret")}
        hint={provider && t("providers.secret-kept")}
        error={errorOf("secret")}
        type="password"
        value={secret}
        onValue={setSecret}
        autocomplete="off"
      />
      {ldap && (
        <Checkbox
          label={t("providers.start-tls")}
          checked={settings["startTls"] === true}
          onChecked={(checked) => set("startTls", checked)}
        />
      )}
      <details>
        <summary>{t("setup.more")}</summary>
        {texts(ldap ? LDAP_MORE : OIDC_MORE)}
        {ldap && (
          <Select
            label={t("providers.groups-by")}
            value={String(settings["groupsBy"] ?? "")}
            onValue={(value) => set("groupsBy", value)}
            options={[
              ["", t("providers.groups-by-shape")],
              ["member-of", t("providers.groups-by-member-of")],
              ["member", t("providers.groups-by-member")],
            ]}
          />
        )}
        <TextArea
          label={t("providers.ca")}
          hint={t("providers.ca-hint")}
          error={errorOf("ca")}
          value={String(settings["ca"] ?? "")}
          onValue={(value) => set("ca", value)}
        />
      </details>
      {provider && <Checkbox label={t("providers.enabled")} checked={enabled} onChecked={setEnabled} />}
      {provider && !ldap && <Redirect id={provider.id} />}
    </DialogForm>
  );
}

function Redirect({ id }: { id: string }) {
  return (
    <p class="hint">
      {t("providers.redirect")}: <code>{`${location.origin}/sign-in/oidc/${id}/callback`}</code>
    </p>
  );
}
