/**
 * Sign-in providers, and what each would decide about a user.
 *
 * @module
 */

import { useState } from "preact/hooks";
import { post, remove } from "../api.ts";
import { useAction, useNow, useResource } from "../hooks.ts";
import { Confirm, Dialog, Failure, Field, Form } from "../parts/form.tsx";
import { Loading } from "../parts/loading.tsx";
import { sayingText } from "../saying.ts";
import { formatAgo, t } from "../text.ts";
import type { Named } from "../types.ts";
import { EditProvider, type Provider, type Sync } from "./provider_form.tsx";

/** The result of a trial with a provider. */
interface Tried {
  readonly entry: Readonly<Record<string, string | null>> | null;
  readonly groups: readonly { readonly name: string; readonly group: Named | null }[];
  readonly decision: {
    readonly allowed: boolean;
    readonly code: string;
    readonly text: string;
    readonly values: Readonly<Record<string, string>>;
  };
}

type Open = { readonly what: "edit" | "try" | "remove" | "confirm"; readonly provider: Provider };

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
      <Loading until={data ?? error} />
      {providers?.length === 0 && <p class="empty">{t("providers.empty")}</p>}
      {providers && providers.length > 0 && (
        <ul class="rows">
          {providers.map((provider) => (
            <Row key={provider.id} provider={provider} open={setOpen} reload={reload} />
          ))}
        </ul>
      )}
      {adding && <EditProvider kind={adding} onClose={close} onDone={done} />}
      {open?.what === "edit" && (
        <EditProvider kind={open.provider.kind} provider={open.provider} onClose={close} onDone={done} />
      )}
      {open?.what === "confirm" && <ConfirmSync provider={open.provider} onClose={close} onDone={done} />}
      {open?.what === "try" && <TryIt provider={open.provider} onClose={close} />}
      {open?.what === "remove" && <Remove provider={open.provider} onClose={close} onDone={done} />}
    </>
  );
}

function Row(
  { provider, open, reload }: { provider: Provider; open: (open: Open) => void; reload: () => void },
) {
  const { kind, name, settings, enabled, sync } = provider;
  const where = settings?.["url"] ?? settings?.["issuer"];
  return (
    <li>
      <span class="grow">
        <button type="button" class="link" onClick={() => open({ what: "edit", provider })}>{name}</button>
        <span class="hint">
          {kind === "ldap" ? "LDAP" : "OpenID Connect"} · {where}
          {!enabled && ` · ${t("providers.off")}`}
        </span>
      </span>
      <button
        type="button"
        class="quiet"
        aria-label={`${t("providers.try")}: ${name}`}
        onClick={() => open({ what: "try", provider })}
      >
        {t("providers.try")}
      </button>
      <button
        type="button"
        class="quiet bad"
        aria-label={`${t("remove")}: ${name}`}
        onClick={() => open({ what: "remove", provider })}
      >
        {t("remove")}
      </button>
      {kind === "ldap" && enabled && (
        <Compared
          provider={provider}
          sync={sync}
          reload={reload}
          onConfirm={() => open({ what: "confirm", provider })}
        />
      )}
    </li>
  );
}

/** The result of comparing the users of this server with a directory. */
function Compared(
  { provider: { id, name }, sync, reload, onConfirm }: {
    provider: Provider;
    sync: Sync | null;
    reload: () => void;
    onConfirm: () => void;
  },
) {
  const { run, busy, error } = useAction();
  const now = useNow();
  const compare = () =>
    run(async () => {
      await post(`providers/${id}/sync`);
      reload();
    });
  return (
    <div class={`sync notice ${sync && sync.state !== "ok" ? "bad" : ""}`}>
      <p class="grow" role="status">
        {sync ? syncText(sync) : t("providers.not-compared")}
        {sync && <span class="hint">{t("providers.compared", { when: formatAgo(sync.at, now) })}</span>}
      </p>
      {sync?.confirmable && (
        <button
          type="button"
          class="danger"
          onClick={onConfirm}
          aria-label={`${t("providers.confirm")}: ${name}`}
        >
          {t("providers.confirm")}
        </button>
      )}
      <button
        type="button"
        class="quiet"
        disabled={busy}
        aria-label={`${t("providers.compare")}: ${name}`}
        onClick={compare}
      >
        {t("providers.compare")}
      </button>
      <Failure error={error} />
    </div>
  );
}

function syncText({ message, ...saying }: Sync): string {
  return sayingText("sync", { ...saying, text: message });
}

function ConfirmSync(
  { provider: { id, sync }, onClose, onDone }: {
    provider: Provider;
    onClose: () => void;
    onDone: () => void;
  },
) {
  const { run, busy, error } = useAction();
  const confirm = () =>
    run(async () => {
      await post(`providers/${id}/sync`, { confirm: true });
      onDone();
    });
  return (
    <Confirm
      title={t("providers.confirm-title")}
      text={`${sync ? syncText(sync) : ""} ${t("providers.confirm-text")}`}
      action={t("providers.confirm")}
      busy={busy}
      error={error}
      onConfirm={confirm}
      onClose={onClose}
    />
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
      {entry && (
        <>
          <div>
            <dt>{t("providers.try-entry")}</dt>
            <dd>
              <code>{lines.join("\n")}</code>
            </dd>
          </div>
          <div>
            <dt>{t("providers.try-groups")}</dt>
            <dd>
              {groups.map(({ name, group }) => group ? `${name} → ${group.name}` : name).join("\n") ||
                t("none")}
            </dd>
          </div>
        </>
      )}
      <div>
        <dt>{t("providers.try-decision")}</dt>
        <dd class={decision.allowed ? "good" : "bad"}>
          {sayingText("try", decision)}
        </dd>
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
