/**
 * Invite links: for whom they are, which have been used, and revoking them.
 *
 * @module
 */

import { useState } from "preact/hooks";
import { post, remove } from "../api.ts";
import { useAction, useNow, useResource } from "../hooks.ts";
import { Confirm, Dialog, DialogForm, Failure, Select } from "../parts/form.tsx";
import { Loading } from "../parts/loading.tsx";
import { LinkOnce } from "../parts/link_once.tsx";
import { useSession } from "../session.ts";
import { formatAgo, t } from "../text.ts";
import type { Named } from "../types.ts";

interface Invite {
  readonly id: string;
  readonly network: Named;
  readonly user: Named | null;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly usedAt: string | null;
}

const DAY = 86_400_000;
/** Days for which a link can be valid. */
const LIVES = [1, 7, 30, 90] as const;

/** The part. */
export function Invites() {
  const { me: { networks } } = useSession();
  const { data: invites, error, reload } = useResource<readonly Invite[]>("invites");
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Invite>();
  const now = useNow(30);
  return (
    <>
      <div class="tools">
        <button
          type="button"
          class="primary"
          disabled={networks.length === 0}
          onClick={() => setAdding(true)}
        >
          {t("invites.add")}
        </button>
      </div>
      <Failure error={error} retry={reload} />
      <Loading until={invites ?? error} />
      {invites?.length === 0 && <p class="empty">{t("invites.empty")}</p>}
      {invites && invites.length > 0 && (
        <ul class="rows">
          {invites.map((invite) => (
            <Row
              key={invite.id}
              invite={invite}
              now={now}
              onRemove={() => setRemoving(invite)}
            />
          ))}
        </ul>
      )}
      {adding && (
        <AddInvite
          onClose={() => {
            setAdding(false);
            reload();
          }}
        />
      )}
      {removing && (
        <TakeBack
          invite={removing}
          onClose={() => {
            setRemoving(undefined);
            reload();
          }}
        />
      )}
    </>
  );
}

function Row({ invite, now, onRemove }: { invite: Invite; now: number; onRemove: () => void }) {
  const { network, user, createdAt, expiresAt, usedAt } = invite;
  const name = user ? t("invites.row", { name: user.name }) : t("invites.row-anybody");
  return (
    <li>
      <span class="grow">
        <strong>{name}</strong>
        <span class="hint">
          {network.name} · {t("invites.made", { when: formatAgo(createdAt, now) })}
        </span>
      </span>
      <span class={usedAt ? "faint" : ""}>
        {usedAt
          ? t("invites.used", { when: formatAgo(usedAt, now) })
          : t("invites.expires", { when: formatAgo(expiresAt, now) })}
      </span>
      {!usedAt && (
        <button
          type="button"
          class="quiet bad"
          aria-label={`${t("invites.take-back")}: ${name}, ${network.name}`}
          onClick={onRemove}
        >
          {t("invites.take-back")}
        </button>
      )}
    </li>
  );
}

function AddInvite({ onClose }: { onClose: () => void }) {
  const { me: { networks } } = useSession();
  const { data: users = [] } = useResource<readonly Named[]>("users");
  const [network, setNetwork] = useState(networks[0]!.id);
  const [user, setUser] = useState("");
  const [days, setDays] = useState("7");
  const [token, setToken] = useState<string>();
  const { run, busy, error } = useAction();
  const make = () =>
    run(async () => {
      // A minute less, because the server allows at most 90 days by its own clock.
      const expiresAt = new Date(Date.now() + Number(days) * DAY - 60_000).toISOString();
      const body = { network, expiresAt, ...(user && { user }) };
      setToken((await post<{ token: string }>("invites", body)).token);
    });
  if (token !== undefined) {
    return (
      <Dialog title={t("invites.made-title")} onClose={onClose}>
        <LinkOnce token={token} />
        <div class="actions">
          <button type="button" class="primary" onClick={onClose}>{t("close")}</button>
        </div>
      </Dialog>
    );
  }
  return (
    <DialogForm
      title={t("invites.add")}
      submit={t("add.make-invite")}
      onSubmit={make}
      onClose={onClose}
      busy={busy}
      error={error}
    >
      {networks.length > 1 && (
        <Select
          label={t("add.network")}
          value={network}
          onValue={setNetwork}
          options={networks.map(({ id, name }) => [id, name])}
        />
      )}
      <Select
        label={t("invites.for")}
        value={user}
        onValue={setUser}
        options={[["", t("invites.anybody")], ...users.map(({ id, name }) => [id, name] as const)]}
      />
      <Select
        label={t("invites.life")}
        value={days}
        onValue={setDays}
        options={LIVES.map((n) => [String(n), t("invites.days", { n })])}
      />
      <p class="hint">{t("add.invite-hint")}</p>
    </DialogForm>
  );
}

function TakeBack({ invite, onClose }: { invite: Invite; onClose: () => void }) {
  const { run, busy, error } = useAction();
  const takeBack = () =>
    run(async () => {
      await remove(`invites/${invite.id}`);
      onClose();
    });
  return (
    <Confirm
      title={t("invites.take-back-title")}
      text={t("invites.take-back-text")}
      action={t("invites.take-back")}
      busy={busy}
      error={error}
      onConfirm={takeBack}
      onClose={onClose}
    />
  );
}
