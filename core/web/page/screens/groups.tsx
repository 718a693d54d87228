/**
 * Groups: which networks their members may use.
 *
 * @module
 */

import { useState } from "preact/hooks";
import { patch, post, remove } from "../api.ts";
import { useChanges } from "../changes.ts";
import { useAction, useResource } from "../hooks.ts";
import { Checkbox, Confirm, DialogForm, Failure, Field, Select } from "../parts/form.tsx";
import { Loading } from "../parts/loading.tsx";
import { useSession } from "../session.ts";
import { t } from "../text.ts";
import type { Named, SignInProvider } from "../types.ts";

interface Group extends Named {
  /** Name of the provider that manages its members; null for a group of this server. */
  readonly source: string | null;
  /** Its name at the provider. */
  readonly external: string | null;
  readonly role: "user" | "admin";
  readonly members: number;
  readonly networks: readonly Named[];
}

/** The part. */
export function Groups() {
  const { data: groups, error, reload } = useResource<readonly Group[]>("groups");
  const [open, setOpen] = useState<Group | "new">();
  const done = () => {
    setOpen(undefined);
    reload();
  };
  return (
    <>
      <div class="tools">
        <button type="button" class="primary" onClick={() => setOpen("new")}>{t("groups.add")}</button>
      </div>
      <Failure error={error} retry={reload} />
      <Loading until={groups ?? error} />
      {groups?.length === 0 && <p class="empty">{t("groups.empty")}</p>}
      <ul class="rows">
        {groups?.map((group) => (
          <li key={group.id}>
            <span class="grow">
              <button type="button" class="link" onClick={() => setOpen(group)}>{group.name}</button>
              <span class="hint">
                {t("groups.members", { n: group.members })}
                {group.source && ` · ${t("groups.source", { source: group.source })}`}
              </span>
            </span>
            <span class={group.networks.length > 0 ? "" : "faint"}>
              {group.networks.map(({ name }) => name).join(", ") || t("groups.no-network")}
            </span>
          </li>
        ))}
      </ul>
      {open && (
        <EditGroup
          group={open === "new" ? undefined : open}
          onClose={() => setOpen(undefined)}
          onDone={done}
        />
      )}
    </>
  );
}

function EditGroup(
  { group, onClose, onDone }: { group: Group | undefined; onClose: () => void; onDone: () => void },
) {
  const { me: { networks } } = useSession();
  const [name, setName] = useState(group?.name ?? "");
  const [role, setRole] = useState<Group["role"]>(group?.role ?? "user");
  const [chosen, setChosen] = useState<readonly string[]>(group?.networks.map(({ id }) => id) ?? []);
  const [provider, setProvider] = useState("");
  const [external, setExternal] = useState("");
  const [removing, setRemoving] = useState(false);
  const { run, busy, error, errorOf } = useAction();
  const changes = useChanges({ role, networks: chosen });
  const save = () =>
    run(async () => {
      const source = provider === "" ? {} : { provider, ...(external && { external }) };
      if (!group) await post("groups", { name, role, networks: chosen, ...source });
      else if (Object.keys(changes).length > 0) await patch(`groups/${group.id}`, changes);
      onDone();
    });
  const removeGroup = () =>
    run(async () => {
      await remove(`groups/${group!.id}`);
      onDone();
    });
  if (removing && group) {
    return (
      <Confirm
        title={t("groups.remove-title", { name: group.name })}
        text={t("groups.remove-text")}
        action={t("remove")}
        busy={busy}
        error={error}
        onConfirm={removeGroup}
        onClose={onClose}
      />
    );
  }
  return (
    <DialogForm
      title={group?.name ?? t("groups.add")}
      submit={t(group ? "save" : "groups.add")}
      onSubmit={save}
      onClose={onClose}
      busy={busy}
      error={error}
      more={group && (
        <button type="button" class="quiet bad" onClick={() => setRemoving(true)}>{t("remove")}</button>
      )}
    >
      {!group && (
        <Field label={t("users.name")} error={errorOf("name")} value={name} onValue={setName} required />
      )}
      {!group && (
        <Source
          provider={provider}
          onProvider={setProvider}
          external={external}
          onExternal={setExternal}
          error={errorOf("external")}
        />
      )}
      <Select
        label={t("users.role")}
        value={role}
        onValue={(value) => setRole(value as Group["role"])}
        options={[["user", t("users.role-user")], ["admin", t("users.role-admin")]]}
      />
      <fieldset>
        <legend>{t("groups.networks")}</legend>
        {networks.map(({ id, name }) => (
          <Checkbox
            key={id}
            label={name}
            checked={chosen.includes(id)}
            onChecked={(checked) =>
              setChosen(checked ? [...chosen, id] : chosen.filter((each) => each !== id))}
          />
        ))}
      </fieldset>
    </DialogForm>
  );
}

/** Who manages the members of a new group: this server, or a provider that has a corresponding group. */
function Source(
  { provider, onProvider, external, onExternal, error }: {
    provider: string;
    onProvider: (id: string) => void;
    external: string;
    onExternal: (external: string) => void;
    error: string | undefined;
  },
) {
  const { data: providers = [] } = useResource<readonly SignInProvider[]>("providers");
  const others = providers.filter(({ kind }) => kind !== "local");
  if (others.length === 0) return null;
  return (
    <>
      <Select
        label={t("groups.from")}
        value={provider}
        onValue={onProvider}
        options={[["", t("groups.from-here")], ...others.map(({ id, name }) => [id, name] as const)]}
      />
      {provider !== "" && (
        <Field
          label={t("groups.external")}
          hint={t("groups.external-hint")}
          error={error}
          value={external}
          onValue={onExternal}
          spellcheck={false}
        />
      )}
    </>
  );
}
