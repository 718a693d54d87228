/**
 * Sign-in providers, and what each would decide about a person.
 *
 * @module
 */

import { useState } from "preact/hooks";
import { post, remove } from "../api.ts";
import { useAction, useResource } from "../hooks.ts";
import { Confirm, Dialog, Failure, Field, Form } from "../parts/form.tsx";
import { t } from "../text.ts";
import type { Named } from "../types.ts";
import { EditProvider, type Provider } from "./provider_form.tsx";

/** What a provider says of a person. */
interface Tried {
  readonly entry: Readonly<Record<string, string | null>> | null;
  readonly groups: readonly { readonly name: string; readonly group: Named | null }[];
  readonly decision: { readonly allowed: boolean; readonly text: string };
}

type Open = { readonly what: "edit" | "try" | "remove"; readonly provider: Provider };

/** The part. */
export function Providers() {
  const { data, error, reload } = useResource<readonly Provider[]>("providers");
  const providers = data?.filter(({ kind }) => kind !== "local");
  const [open, setOpen] = useState<Open>();
  const [adding, setAdding] = useState<"ldap" | "oidc">();
  const close = () => {
    setOpen(undefined);
    setAdding(undefined);
  };
  const done = () => {
    close();
    reload();
  };
  return (
    <>
      <div class="tools">
        <button type="button" class="primary" onClick={() => setAdding("ldap")}>
          {t("providers.add-ldap")}
        </button>
        <button type="button" class="primary" onClick={() => setAdding("oidc")}>
          {t("providers.add-oidc")}
        </button>
      </div>
      <Failure error={error} retry={reload} />
      {providers?.length === 0 && <p class="empty">{t("providers.empty")}</p>}
      <ul class="rows">
        {providers?.map((provider) => (
          <li key={provider.id}>
            <span class="grow">
              <button type="button" class="link" onClick={() => setOpen({ what: "edit", provider })}>
                {provider.name}
              </button>
              <span class="hint">
                {provider.kind === "ldap" ? "LDAP" : "OpenID Connect"} ·{" "}
                {provider.settings?.url ?? provider.settings?.issuer}
              </span>
            </span>
            {provider.kind === "ldap" && (
              <button
                type="button"
                class="quiet"
                onClick={() => setOpen({ what: "try", provider })}
              >
                {t("providers.try")}
              </button>
            )}
            <button type="button" class="quiet bad" onClick={() => setOpen({ what: "remove", provider })}>
              {t("remove")}
            </button>
          </li>
        ))}
      </ul>
      {adding && <EditProvider kind={adding} onClose={close} onDone={done} />}
      {open?.what === "edit" && (
        <EditProvider kind={open.provider.kind} provider={open.provider} onClose={close} onDone={done} />
      )}
      {open?.what === "try" && <TryIt provider={open.provider} onClose={close} />}
      {open?.what === "remove" && <Remove provider={open.provider} onClose={close} onDone={done} />}
    </>
  );
}

function TryIt({ provider, onClose }: { provider: Provider; onClose: () => void }) {
  const [name, setName] = useState("");
  const [tried, setTried] = useState<Tried>();
  const { run, busy, error } = useAction();
  const tryIt = () =>
    run(async () => {
      setTried(undefined);
      setTried(await post<Tried>(`providers/${provider.id}/try`, { name }));
    });
  return (
    <Dialog title={`${t("providers.try")}: ${provider.name}`} onClose={onClose}>
      <Form onSubmit={tryIt}>
        <Field
          label={t("providers.try-name")}
          value={name}
          onValue={setName}
          autocomplete="off"
          required
          autofocus
        />
        <Failure error={error} />
        <div role="status">{tried && <Found tried={tried} />}</div>
        <div class="actions">
          <button type="button" class="quiet" onClick={onClose}>{t("close")}</button>
          <button type="submit" class="primary" disabled={busy}>{t("providers.try")}</button>
        </div>
      </Form>
    </Dialog>
  );
}

function Found({ tried: { entry, groups, decision } }: { tried: Tried }) {
  const lines = Object.entries(entry ?? {}).filter(([, value]) => value).map((pair) => pair.join(": "));
  return (
    <dl class="facts">
      <div>
        <dt>{t("providers.try-entry")}</dt>
        <dd>
          {entry ? <code>{lines.join("\n")}</code> : t("providers.try-nothing")}
        </dd>
      </div>
      <div>
        <dt>{t("providers.try-groups")}</dt>
        <dd>{groups.map(({ name }) => name).join(", ") || t("none")}</dd>
      </div>
      <div>
        <dt>{t("providers.try-decision")}</dt>
        <dd class={decision.allowed ? "good" : "bad"}>{decision.text}</dd>
      </div>
    </dl>
  );
}

function Remove(
  { provider, onClose, onDone }: { provider: Provider; onClose: () => void; onDone: () => void },
) {
  const { run, busy, error } = useAction();
  const removeProvider = () =>
    run(async () => {
      await remove(`providers/${provider.id}`);
      onDone();
    });
  return (
    <Confirm
      title={t("providers.remove-title", { name: provider.name })}
      text={t("providers.remove-text")}
      action={t("remove")}
      busy={busy}
      error={error}
      onConfirm={removeProvider}
      onClose={onClose}
    />
  );
}
