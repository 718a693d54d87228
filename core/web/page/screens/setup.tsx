/**
 * First start: address, network and password. Then the first device can connect.
 *
 * @module
 */

import { useState } from "preact/hooks";
import { request } from "../api.ts";
import { useAction, useResource, useTitle } from "../hooks.ts";
import { Failure, Field, Form } from "../parts/form.tsx";
import { Link } from "../router.tsx";
import { SHORTEST_PASSWORD } from "../password_rule.ts";
import { SUGGESTED_ADDRESS } from "../suggested_address.ts";
import { t } from "../text.ts";
import type { Me } from "../types.ts";

/** The initial values of the fields. */
const DEFAULTS = { name: "admin", network: "wg0", address: SUGGESTED_ADDRESS, port: 51820 };

/** The screen. @param token From the setup link's fragment. */
export function Setup({ token, onDone }: { token: string; onDone: (me: Me) => void }) {
  useTitle(t("setup.title"));
  const { data: setup } = useResource<{ needed: boolean }>("setup");
  const { hostname } = location;
  const [endpoint, setEndpoint] = useState(`${hostname}:${DEFAULTS.port}`);
  const [address, setAddress] = useState(DEFAULTS.address);
  const [password, setPassword] = useState("");
  const [name, setName] = useState(DEFAULTS.name);
  const [network, setNetwork] = useState(DEFAULTS.network);
  const [dns, setDns] = useState("");
  const { run, busy, error, errorOf } = useAction();

  const submit = () =>
    run(async () => {
      const servers = splitList(dns);
      const body = {
        token,
        admin: { name, password },
        network: { name: network, address, endpoint, ...(servers.length > 0 && { dns: servers }) },
      };
      onDone(await request<Me>("POST", "setup", { body, signingIn: true }));
    });

  if (setup && !setup.needed) {
    return (
      <>
        <h1>{t("setup.title")}</h1>
        <p>{t("setup.done")}</p>
        <Link to="/">{t("sign-in.title")}</Link>
      </>
    );
  }
  if (token === "") {
    return (
      <>
        <h1>{t("setup.title")}</h1>
        <p class="notice bad">{t("setup.no-token")}</p>
      </>
    );
  }
  return (
    <>
      <h1>{t("setup.title")}</h1>
      <p class="lead">{t("setup.lead")}</p>
      <Form onSubmit={submit}>
        <Field
          label={t("setup.endpoint")}
          hint={t("setup.endpoint-hint")}
          error={errorOf("endpoint")}
          value={endpoint}
          onValue={setEndpoint}
          spellcheck={false}
          required
        />
        <Field
          label={t("setup.address")}
          hint={t("setup.address-hint")}
          error={errorOf("address")}
          value={address}
          onValue={setAddress}
          spellcheck={false}
          required
        />
        <Field
          label={t("setup.password")}
          hint={t("setup.password-hint", { n: SHORTEST_PASSWORD })}
          error={errorOf("password")}
          type="password"
          value={password}
          onValue={setPassword}
          autocomplete="new-password"
          minLength={SHORTEST_PASSWORD}
          required
          autofocus
        />
        <details>
          <summary>{t("setup.more")}</summary>
          <Field
            label={t("setup.name")}
            error={errorOf("name")}
            value={name}
            onValue={setName}
            autocomplete="username"
            required
          />
          <Field
            label={t("setup.interface")}
            value={network}
            onValue={setNetwork}
            maxLength={15}
            spellcheck={false}
            required
          />
          <Field
            label={t("setup.dns")}
            hint={t("list-hint")}
            error={errorOf("dns")}
            value={dns}
            onValue={setDns}
            spellcheck={false}
          />
        </details>
        <Failure error={error} />
        <button type="submit" class="primary" disabled={busy}>{t("setup.submit")}</button>
      </Form>
    </>
  );
}

/** Items that are separated by commas or spaces. */
export function splitList(text: string): string[] {
  return text.split(/[\s,]+/).filter((item) => item !== "");
}
