/**
 * The dialog in which an administrator changes a user.
 *
 * @module
 */

import { useState } from "preact/hooks";
import { patch, remove } from "../api.ts";
import { useChanges } from "../changes.ts";
import { type Action, useAction, useResource } from "../hooks.ts";
import { Checkbox, Confirm, DialogForm, Field, Select } from "../parts/form.tsx";
import { SHORTEST_PASSWORD } from "../password_rule.ts";
import { fromLocalTime, t, toLocalTime } from "../text.ts";
import type { Named } from "../types.ts";

/** The role of a user. */
export type Role = "user" | "admin";

/** A user as administrators see them. */
export interface User extends Named {
  readonly email: string | null;
  readonly role: Role;
  /** Including what groups give; `role` is only what was set for the user. */
  readonly effectiveRole: Role;
  readonly disabledAt: string | null;
  readonly expiresAt: string | null;
  readonly maxDevices: number | null;
  readonly deviceCount: number;
  readonly groups: readonly Named[];
  /** How the user signs in; `local` means with a password of this server. */
  readonly providers: readonly Named[];
  /** Whether the user has a second factor. */
  readonly totp: boolean;
}

/** A menu of the roles. */
export function roles(): [Role, string][] {
  return [["user", t("users.role-user")], ["admin", t("users.role-admin")]];
}

/** Changes one user. */
export function EditUser(
  { user, onClose, onDone }: { user: User; onClose: () => void; onDone: () => void },
) {
  const [role, setRole] = useState<Role>(user.role);
  const [most, setMost] = useState(user.maxDevices === null ? "" : String(user.maxDevices));
  const [expires, setExpires] = useState(toLocalTime(user.expiresAt));
  const [password, setPassword] = useState("");
  const [groups, setGroups] = useState<readonly string[]>();
  const [removing, setRemoving] = useState(false);
  const action = useAction();
  const path = `users/${user.id}`;
  const changes = useChanges({
    role,
    maxDevices: most === "" ? null : Number(most),
    expiresAt: fromLocalTime(expires),
  });
  const change = (body: Record<string, unknown>) =>
    action.run(async () => {
      if (Object.keys(body).length > 0) await patch(path, body);
      onDone();
    });
  const save = () => change({ ...changes, ...(password && { password }), ...(groups && { groups }) });
  if (removing) {
    return <RemoveUser user={user} onClose={onClose} onDone={onDone} />;
  }
  return (
    <DialogForm
      title={user.name}
      submit={t("save")}
      onSubmit={save}
      onClose={onClose}
      busy={action.busy}
      error={action.error}
      more={<button type="button" class="quiet bad" onClick={() => setRemoving(true)}>{t("remove")}</button>}
    >
      <Select
        label={t("users.role")}
        value={role}
        onValue={(value) => setRole(value as Role)}
        options={roles()}
      />
      <LocalGroups user={user} chosen={groups} choose={setGroups} />
      <Field
        label={t("users.max")}
        error={action.errorOf("maxDevices")}
        type="number"
        min={0}
        value={most}
        onValue={setMost}
      />
      <Field
        label={t("device.expires")}
        hint={t("users.expiry-hint")}
        error={action.errorOf("expiresAt")}
        type="datetime-local"
        value={expires}
        onValue={setExpires}
      />
      {user.providers.some(({ id }) => id === "local") && (
        <Field
          label={t("account.new")}
          hint={t("users.new-password-hint", { n: SHORTEST_PASSWORD })}
          error={action.errorOf("password")}
          type="password"
          value={password}
          onValue={setPassword}
          autocomplete="new-password"
          minLength={SHORTEST_PASSWORD}
        />
      )}
      <Access user={user} action={action} change={change} />
    </DialogForm>
  );
}

/** Groups of this server. The members of a provider's group are set at the provider. */
function LocalGroups(
  { user, chosen, choose }: {
    user: User;
    chosen: readonly string[] | undefined;
    choose: (ids: readonly string[]) => void;
  },
) {
  const { data: groups = [] } = useResource<readonly (Named & { source: string | null })[]>("groups");
  const local = groups.filter(({ source }) => source === null);
  if (local.length === 0) return null;
  const of = chosen ??
    local.filter((group) => user.groups.some(({ id }) => id === group.id)).map(({ id }) => id);
  return (
    <fieldset>
      <legend>{t("people.groups")}</legend>
      {local.map(({ id, name }) => (
        <Checkbox
          key={id}
          label={name}
          checked={of.includes(id)}
          onChecked={(checked) => choose(checked ? [...of, id] : of.filter((each) => each !== id))}
        />
      ))}
    </fieldset>
  );
}

function Access(
  { user, action, change }: {
    user: User;
    action: Action;
    change: (body: Record<string, unknown>) => void;
  },
) {
  const [ended, setEnded] = useState(false);
  const endSessions = () =>
    action.run(async () => {
      await remove(`users/${user.id}/sessions`);
      setEnded(true);
    });
  return (
    <>
      <div class="actions start">
        <button
          type="button"
          class="quiet"
          disabled={action.busy}
          onClick={() => change({ disabled: user.disabledAt === null })}
        >
          {t(user.disabledAt ? "users.enable" : "users.disable")}
        </button>
        <button type="button" class="quiet" disabled={action.busy} onClick={endSessions}>
          {t("users.end-sessions")}
        </button>
        {user.totp && (
          <button
            type="button"
            class="quiet"
            disabled={action.busy}
            onClick={() => change({ totp: false })}
          >
            {t("users.remove-totp")}
          </button>
        )}
      </div>
      <p class="hint" role="status">{ended && t("users.sessions-ended")}</p>
    </>
  );
}

function RemoveUser(
  { user, onClose, onDone }: { user: User; onClose: () => void; onDone: () => void },
) {
  const { run, busy, error } = useAction();
  const removeUser = () =>
    run(async () => {
      await remove(`users/${user.id}`);
      onDone();
    });
  return (
    <Confirm
      title={t("users.remove-title", { name: user.name })}
      text={t("users.remove-text")}
      action={t("remove")}
      busy={busy}
      error={error}
      onConfirm={removeUser}
      onClose={onClose}
    />
  );
}
