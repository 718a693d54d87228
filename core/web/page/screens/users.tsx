/**
 * Users: who may sign in, with which role, and with how many devices.
 *
 * @module
 */

import { useState } from "preact/hooks";
import { post } from "../api.ts";
import { SHORTEST_PASSWORD } from "../password_rule.ts";
import { useAction, useNow, useResource } from "../hooks.ts";
import { DialogForm, Failure, Field, Select } from "../parts/form.tsx";
import { Loading } from "../parts/loading.tsx";
import { t } from "../text.ts";
import { EditUser, type Role, roles, type User } from "./edit_user.tsx";

/** The part. */
export function Users() {
  const { data: users, error, reload } = useResource<readonly User[]>("users");
  const [open, setOpen] = useState<User | "new">();
  const now = useNow(30);
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
      <Loading until={users ?? error} />
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
                <td>{t(`users.${stateOf(user, now)}`)}</td>
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

function stateOf({ disabledAt, expiresAt }: User, now: number): "active" | "disabled" | "expired" {
  if (disabledAt) return "disabled";
  return expiresAt && Date.parse(expiresAt) <= now ? "expired" : "active";
}

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
        options={roles()}
      />
    </DialogForm>
  );
}
