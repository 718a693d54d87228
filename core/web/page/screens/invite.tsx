/**
 * The screen of an invite link: its holder adds one device, without an account.
 *
 * @module
 */

import { useState } from "preact/hooks";
import { request } from "../api.ts";
import { useAction, useTitle } from "../hooks.ts";
import { Failure, Field, Form } from "../parts/form.tsx";
import { t } from "../text.ts";
import type { Added } from "../types.ts";
import { addWithNewKeys, type NewDevice, ShowNewDevice, type Way } from "./new_device.tsx";

/** The screen. @param token From the link's fragment. */
export function AcceptInvite({ token }: { token: string }) {
  useTitle(t("invite.title"));
  const [name, setName] = useState(() => t("add.default-phone"));
  const [device, setDevice] = useState<NewDevice>();
  const [way, setWay] = useState<Way>("phone");
  const { run, busy, error, errorOf } = useAction();
  const add = (way: Way) =>
    run(async () => {
      setWay(way);
      setDevice(
        await addWithNewKeys(name, (publicKey) =>
          request<Added>("POST", "invites/accept", { body: { token, name, publicKey }, signingIn: true })),
      );
    });

  if (device) {
    return (
      <>
        <h1>{t("invite.title")}</h1>
        <ShowNewDevice device={device} way={way} watch={false} />
      </>
    );
  }
  return (
    <>
      <h1>{t("invite.title")}</h1>
      {token === "" ? <p class="notice bad">{t("invite.no-token")}</p> : (
        <Form onSubmit={() => add("phone")}>
          <p class="lead">{t("invite.lead")}</p>
          <Field
            label={t("add.name")}
            error={errorOf("name")}
            value={name}
            onValue={setName}
            maxLength={64}
            required
          />
          <Failure error={error} />
          <button type="submit" class="primary" disabled={busy}>{t("add.make-qr")}</button>
          <button type="button" class="quiet" disabled={busy} onClick={() => add("this")}>
            {t("add.make-file")}
          </button>
          <p class="hint">{t("add.keys-note")}</p>
        </Form>
      )}
    </>
  );
}
