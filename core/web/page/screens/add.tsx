/**
 * Add a device: a phone with a QR code, this computer with a file, or another person's device with an invite link.
 *
 * @module
 */

import { useState } from "preact/hooks";
import { post } from "../api.ts";
import { useAction, useTitle } from "../hooks.ts";
import { Failure, Field, Form, Select } from "../parts/form.tsx";
import { LinkOnce } from "../parts/link_once.tsx";
import { Link } from "../router.tsx";
import { useSession } from "../session.ts";
import { t } from "../text.ts";
import type { Added } from "../types.ts";
import { addWithNewKeys, type NewDevice, ShowNewDevice } from "./new_device.tsx";

const WAYS = ["phone", "this", "invite"] as const;
type Choice = typeof WAYS[number];

/** A link with which somebody else can add one device. */
interface Invite {
  readonly id: string;
  readonly token: string;
}

/** The screen. */
export function Add() {
  useTitle(t("add.title"));
  const { me, refresh } = useSession();
  const admin = me.user.role === "admin";
  const [way, setWay] = useState<Choice>("phone");
  const [name, setName] = useState<string>();
  const { networks } = me;
  const [networkId, setNetworkId] = useState(networks[0]?.id ?? "");
  const [expires, setExpires] = useState("");
  const [device, setDevice] = useState<NewDevice>();
  const [invite, setInvite] = useState<Invite>();
  const { run, busy, error, errorOf } = useAction();

  const again = () => {
    setDevice(undefined);
    setInvite(undefined);
    setName(undefined);
  };
  const shownName = name ?? (way === "this" ? t("add.default-this") : t("add.default-phone"));
  const submit = () =>
    run(async () => {
      const expiresAt = expires === "" ? {} : { expiresAt: new Date(expires).toISOString() };
      if (way === "invite") {
        setInvite(await post<Invite>("invites", { network: networkId, ...expiresAt }));
        return;
      }
      const body = { network: networkId, name: shownName };
      setDevice(
        await addWithNewKeys(shownName, (publicKey) =>
          admin
            ? post<Added>("devices", { ...body, publicKey, owner: me.user.id, ...expiresAt })
            : post<Added>("me/devices", { ...body, publicKey })),
      );
      refresh();
    });

  if (networks.length === 0) return <Nothing text={t("add.no-network")} />;
  if (device && way !== "invite") {
    return (
      <>
        <h1>{t("add.title")}</h1>
        <ShowNewDevice device={device} way={way} watch>
          <div class="actions">
            <button type="button" class="quiet" onClick={again}>{t("add.another")}</button>
            <Link class="button quiet" to={`/devices/${device.id}`}>
              {t("add.to-device", { name: device.name })}
            </Link>
          </div>
        </ShowNewDevice>
      </>
    );
  }
  if (invite) return <InviteLink invite={invite} again={again} />;
  const limit = me.maxDevices;
  if (!admin && limit !== null && me.deviceCount >= limit) {
    return <Nothing text={t("add.limit", { n: me.deviceCount })} />;
  }
  return (
    <>
      <h1>{t("add.title")}</h1>
      <Form onSubmit={submit} class="narrow">
        <Ways way={way} choose={setWay} ways={admin ? WAYS : WAYS.slice(0, 2)} />
        {way !== "invite" && (
          <Field
            label={t("add.name")}
            error={errorOf("name")}
            value={shownName}
            onValue={setName}
            maxLength={64}
            required
          />
        )}
        {networks.length > 1 && (
          <Select
            label={t("add.network")}
            value={networkId}
            onValue={setNetworkId}
            options={networks.map(({ id, name }) => [id, name])}
          />
        )}
        {admin && (
          <details>
            <summary>{t("setup.more")}</summary>
            <Field
              label={t("add.expires")}
              hint={way === "invite" ? undefined : t("device.expiry-hint")}
              error={errorOf("expiresAt")}
              type="datetime-local"
              value={expires}
              onValue={setExpires}
            />
          </details>
        )}
        <Failure error={error} />
        <button type="submit" class="primary" disabled={busy}>
          {t(way === "phone" ? "add.make-qr" : way === "this" ? "add.make-file" : "add.make-invite")}
        </button>
        <p class="hint">{t(way === "invite" ? "add.invite-hint" : "add.keys-note")}</p>
      </Form>
    </>
  );
}

function Ways(
  { way, choose, ways }: { way: Choice; choose: (way: Choice) => void; ways: readonly Choice[] },
) {
  return (
    <fieldset class="ways">
      <legend>{t("add.how")}</legend>
      {ways.map((each) => (
        <label key={each}>
          <input type="radio" name="way" checked={way === each} onChange={() => choose(each)} />
          <span class="way">
            <strong>{t(`add.${each}`)}</strong>
            <span>{t(`add.${each}-text`)}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

function InviteLink({ invite, again }: { invite: Invite; again: () => void }) {
  return (
    <>
      <h1>{t("add.title")}</h1>
      <section class="narrow">
        <LinkOnce token={invite.token} />
        <div class="actions">
          <button type="button" class="quiet" onClick={again}>{t("add.another")}</button>
          <Link class="button quiet" to="/people/invites">{t("add.to-invites")}</Link>
        </div>
      </section>
    </>
  );
}

function Nothing({ text }: { text: string }) {
  return (
    <>
      <h1>{t("add.title")}</h1>
      <p class="notice">{text}</p>
    </>
  );
}
