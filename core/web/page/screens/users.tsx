/**
 * Users: who may sign in, as what, with how many devices.
 *
 * @module
 */

import { useState } from "preact/hooks";
import { patch, post, remove } from "../api.ts";
import { SHORTEST_PASSWORD } from "../password_rule.ts";
import { type Action, useAction, useResource } from "../hooks.ts";
import { Confirm, DialogForm, Failure, Field, Select } from "../parts/form.tsx";
import { t } from "../text.ts";
import type { Named } from "../types.ts";

type Role = "user" | "admin";

interface User extends Named {
  readonly email: string | null;
  readonly role: Role;
  /** With what their groups give; `role` is what they have by themselves. */
  readonly effectiveRole: Role;
  readonly disabledAt: string | null;
  readonly reason: string | null;
  readonly maxDevices: number | null;
  readonly deviceCount: number;
}

/** The part. */
export function Users() {
  const { data: users, error, reload } = useResource<readonly User[]>("users");
  const [open, setOpen] = useState<User | "new">();
  const done = () => {
    setOpen(undefined);
    reload();
  };
  return (
    <>
      <div class="tools">
        <button type="button" class="primary" onClick={() => setOpen("new")}>{t("users.add")}</button>
      </div>
      <Failure error={error} retry={reload} />
      {users?.length === 0 && <p class="empty">{t("users.empty")}</p>}
      {users && users.length > 0 && (
        <table>
          <thead>
            <tr>
              <th scope="col">{t("users.name")}</th>
              <th scope="col" class="wide-only">{t("users.email")}</th>
              <th scope="col">{t("users.role")}</th>
              <th scope="col" class="wide-only">{t("users.devices")}</th>
              <th scope="col">{t("devices.state")}</th>
            </tr>
          </thead>
          <tbody>
            {users.map((user) => (
              <tr key={user.id}>
                <td>
                  <button type="button" class="link" onClick={() => setOpen(user)}>{user.name}</button>
                </td>
                <td class="wide-only">{user.email ?? "–"}</td>
                <td>{t(`users.role-${user.effectiveRole}`)}</td>
                <td class="wide-only">{user.deviceCount}</td>
                <td>{t(user.disabledAt ? "users.disabled" : "users.active")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {open === "new" && <AddUser onClose={() => setOpen(undefined)} onDone={done} />}
      {open && open !== "new" && <EditUser user={open} onClose={() => setOpen(undefined)} onDone={done} />}
    </>
  );
}

const ROLES = (): [Role, string][] => [["user", t("users.role-user")], ["admin", t("users.role-admin")]];

function AddUser({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const [name, setName] = useState("");
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<Role>("user");
  const [password, setPassword] = useState("");
  const { run, busy, error, errorOf } = useAction();
  const add = () =>
    run(async () => {
      await post("users", { name, role, password, ...(email && { email }) });
      onDone();
    });
  return (
    <DialogForm
      title={t("users.add")}
      submit={t("users.add")}
      onSubmit={add}
      onClose={onClose}
      busy={busy}
      error={error}
    >
      <Field label={t("users.name")} error={errorOf("name")} value={name} onValue={setName} required />
      <Field
        label={t("users.email")}
        error={errorOf("email")}
        type="email"
        value={email}
        onValue={setEmail}
      />
      <Field
        label={t("users.password")}
        hint={t("setup.password-hint", { n: SHORTEST_PASSWORD })}
        error={errorOf("password")}
        type="password"
        value={password}
        onValue={setPassword}
        autocomplete="new-password"
        minLength={SHORTEST_PASSWORD}
        required
      />
      <Select
        label={t("users.role")}
        value={role}
        onValue={(value) => setRole(value as Role)}
        options={ROLES()}
      />
    </DialogForm>
  );
}

function EditUser({ user, onClose, onDone }: { user: User; onClose: () => void; onDone: () => void }) {
  const [role, setRole] = useState<Role>(user.role);
  const [most, setMost] = useState(user.maxDevices === null ? "" : String(user.maxDevices));
  const [removing, setRemoving] = useState(false);
  const action = useAction();
  const path = `users/${user.id}`;
  const change = (body: Record<string, unknown>) =>
    action.run(async () => {
      await patch(path, body);
      onDone();
    });
  const removeUser = () =>
    action.run(async () => {
      await remove(path);
      onDone();
    });
  if (removing) {
    return (
      <Confirm
        title={t("users.remove-title", { name: user.name })}
        text={t("users.remove-text")}
        action={t("remove")}
        busy={action.busy}
        error={action.error}
        onConfirm={removeUser}
        onClose={onClose}
      />
    );
  }
  return (
    <DialogForm
      title={user.name}
      submit={t("save")}
      onSubmit={() => change({ role, maxDevices: most === "" ? null : Number(most) })}
      onClose={onClose}
      busy={action.busy}
      error={action.error}
    >
      <Select
        label={t("users.role")}
        value={role}
        onValue={(value) => setRole(value as Role)}
        options={ROLES()}
      />
      <Field
        label={t("users.max")}
        error={action.errorOf("maxDevices")}
        type="number"
        min={0}
        value={most}
        onValue={setMost}
      />
      <Access user={user} action={action} change={change} onRemove={() => setRemoving(true)} />
    </DialogForm>
  );
}

function Access(
  { user, action, change, onRemove }: {
    user: User;
    action: Action;
    change: (body: Record<string, unknown>) => void;
    onRemove: () => void;
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
          disabled={action.busy}
          onClick={() => change({ disabled: user.disabledAt === null })}
        >
          {t(user.disabledAt ? "users.enable" : "users.disable")}
        </button>
        <button type="button" disabled={action.busy} onClick={endSessions}>{t("users.end-sessions")}</button>
        <button type="button" class="quiet bad" onClick={onRemove}>{t("remove")}</button>
      </div>
      <p class="hint" role="status">{ended && t("users.sessions-ended")}</p>
    </>
  );
}
