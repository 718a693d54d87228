/**
 * Networks: the effects of each network's settings on its devices, in sentences, and the settings.
 *
 * @module
 */

import { useState } from "preact/hooks";
import { patch, post } from "../api.ts";
import { useChanges } from "../changes.ts";
import { useAction, useResource, useTitle } from "../hooks.ts";
import { CopyButton, DialogForm, Failure, Field } from "../parts/form.tsx";
import { Loading } from "../parts/loading.tsx";
import { useSession } from "../session.ts";
import { t } from "../text.ts";
import type { Network } from "../types.ts";
import { splitList } from "./setup.tsx";

/** The screen. */
export function Networks() {
  useTitle(t("network.title"));
  const { data: networks, error, reload } = useResource<readonly Network[]>("networks");
  const [editing, setEditing] = useState<Network | "new">();
  const done = () => {
    setEditing(undefined);
    reload();
  };
  return (
    <>
      <header class="head">
        <h1>{t("network.title")}</h1>
        <button type="button" class="quiet" onClick={() => setEditing("new")}>{t("network.add")}</button>
      </header>
      <Failure error={error} retry={reload} />
      <Loading until={networks ?? error} />
      {networks?.length === 0 && <p class="empty">{t("network.empty")}</p>}
      {networks?.map((network) => (
        <section class="card" key={network.id}>
          <header class="head">
            <h2>{network.name}</h2>
            <p class="count">{t("devices.count", { n: network.deviceCount })}</p>
            <button
              type="button"
              class="quiet"
              aria-label={`${t("edit")}: ${network.name}`}
              onClick={() => setEditing(network)}
            >
              {t("edit")}
            </button>
          </header>
          <ul class="sentences">{sentences(network).map((text) => <li key={text}>{text}</li>)}</ul>
          <p class="key">
            <span class="hint">{t("device.public-key")}</span> <code>{network.publicKey}</code>
            <CopyButton text={network.publicKey} label={t("device.public-key")} />
          </p>
        </section>
      ))}
      {editing === "new" && <AddNetwork onClose={() => setEditing(undefined)} onDone={done} />}
      {editing && editing !== "new" && (
        <Edit
          network={editing}
          onClose={() => setEditing(undefined)}
          onDone={done}
        />
      )}
    </>
  );
}

const EVERYTHING = new Set(["0.0.0.0/0", "::/0"]);

/** The effects of a network's settings on its devices. */
function sentences({ endpoint, addresses, allowedIps, dns, keepalive }: Network): string[] {
  const all = allowedIps.some((prefix) => EVERYTHING.has(prefix));
  return [
    t("network.say-calls", { endpoint }),
    t("network.say-addresses", { addresses: addresses.join(", ") }),
    all ? t("network.say-all") : t("network.say-some", { prefixes: allowedIps.join(", ") }),
    dns.length > 0 ? t("network.say-dns", { dns: dns.join(", ") }) : t("network.say-no-dns"),
    ...(keepalive ? [t("network.say-keepalive", { n: keepalive })] : []),
  ];
}

function AddNetwork({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const { refresh } = useSession();
  const [name, setName] = useState("");
  const [address, setAddress] = useState("");
  const [endpoint, setEndpoint] = useState(`${location.hostname}:51821`);
  const { run, busy, error, errorOf } = useAction();
  const add = () =>
    run(async () => {
      await post("networks", { name, address, endpoint });
      refresh();
      onDone();
    });
  return (
    <DialogForm
      title={t("network.add")}
      submit={t("network.add")}
      onSubmit={add}
      onClose={onClose}
      busy={busy}
      error={error}
    >
      <Field
        label={t("setup.interface")}
        error={errorOf("name")}
        value={name}
        onValue={setName}
        maxLength={15}
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
        label={t("network.endpoint")}
        hint={t("setup.endpoint-hint")}
        error={errorOf("endpoint")}
        value={endpoint}
        onValue={setEndpoint}
        spellcheck={false}
        required
      />
    </DialogForm>
  );
}

function Edit(
  { network, onClose, onDone }: { network: Network; onClose: () => void; onDone: () => void },
) {
  const [endpoint, setEndpoint] = useState(network.endpoint);
  const [dns, setDns] = useState(network.dns.join(", "));
  const [allowedIps, setAllowedIps] = useState(network.allowedIps.join(", "));
  const [mtu, setMtu] = useState(network.mtu ? String(network.mtu) : "");
  const [keepalive, setKeepalive] = useState(network.keepalive ? String(network.keepalive) : "");
  const { run, busy, error, errorOf } = useAction();
  const changes = useChanges({
    endpoint,
    dns: splitList(dns),
    allowedIps: splitList(allowedIps),
    mtu: mtu === "" ? null : Number(mtu),
    keepalive: keepalive === "" ? null : Number(keepalive),
  });
  const save = () =>
    run(async () => {
      if (Object.keys(changes).length > 0) await patch(`networks/${network.id}`, changes);
      onDone();
    });
  return (
    <DialogForm
      title={network.name}
      submit={t("save")}
      onSubmit={save}
      onClose={onClose}
      busy={busy}
      error={error}
    >
      <Field
        label={t("network.endpoint")}
        hint={t("setup.endpoint-hint")}
        error={errorOf("endpoint")}
        value={endpoint}
        onValue={setEndpoint}
        spellcheck={false}
        required
      />
      <Field
        label={t("network.allowed-ips")}
        hint={t("list-hint")}
        error={errorOf("allowedIps")}
        value={allowedIps}
        onValue={setAllowedIps}
        spellcheck={false}
        required
      />
      <Field
        label={t("network.dns")}
        hint={t("list-hint")}
        error={errorOf("dns")}
        value={dns}
        onValue={setDns}
        spellcheck={false}
      />
      <Field
        label={t("network.mtu")}
        error={errorOf("mtu")}
        type="number"
        min={576}
        value={mtu}
        onValue={setMtu}
      />
      <Field
        label={t("network.keepalive")}
        error={errorOf("keepalive")}
        type="number"
        min={0}
        value={keepalive}
        onValue={setKeepalive}
      />
      <p class="hint">{t("network.change-note")}</p>
    </DialogForm>
  );
}
