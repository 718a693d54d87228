/**
 * One device: its state, why it does not connect, its traffic, and its settings.
 *
 * @module
 */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { patch, remove } from "../api.ts";
import { useChanges } from "../changes.ts";
import { type Action, type Resource, useAction, useNow, useResource, useTitle } from "../hooks.ts";
import { useLive } from "../live.ts";
import { TrafficChart } from "../parts/chart.tsx";
import { Confirm, CopyButton, DialogForm, Failure, Field, TextArea } from "../parts/form.tsx";
import { Loading } from "../parts/loading.tsx";
import { StateBadge } from "../parts/state.tsx";
import { Link, navigate } from "../router.tsx";
import { useSession } from "../session.ts";
import {
  formatAgo,
  formatBytes,
  formatRate,
  formatTime,
  fromLocalTime,
  t,
  tIfKnown,
  toLocalTime,
} from "../text.ts";
import type { Device, Reason, Traffic } from "../types.ts";
import { splitList } from "./setup.tsx";

const SPANS = ["hour", "day", "month", "year"] as const;
type Span = typeof SPANS[number];

/** The screen. */
export function DeviceScreen({ id }: { id: string }) {
  const { me } = useSession();
  const admin = me.user.role === "admin";
  const path = `devices/${encodeURIComponent(id)}`;
  // Users read their own devices from the list of their devices.
  const { data, error, reload } = useResource<Device | readonly Device[]>(admin ? path : "me/devices");
  const device = data && "id" in data ? data : data?.find((each) => each.id === id);
  useTitle(device?.name ?? t("nav.devices"));
  return (
    <>
      <p class="back">
        <Link to={admin ? "/devices" : "/mine"}>{t(admin ? "device.back" : "mine.title")}</Link>
      </p>
      <Failure error={error} retry={reload} />
      <Loading until={data ?? error} />
      {data && !device && <p class="notice">{t("not-found")}</p>}
      {device && <Loaded device={device} path={path} admin={admin} reload={reload} />}
    </>
  );
}

function Loaded(
  { device, path, admin, reload }: { device: Device; path: string; admin: boolean; reload: () => void },
) {
  const live = useLive(useMemo(() => [device.id], [device.id])).get(device.id);
  const now = useNow();
  const state = live?.state ?? device.state;
  const { rxBytes, txBytes, lastHandshake, endpoint } = live ?? device;
  const reasons = useReasons(path, state);
  const [span, setSpan] = useState<Span>("day");
  const traffic = useTraffic(path, span);
  // Shown at once, because what comes later would move the details.
  const arrived = useRef(false);
  arrived.current ||= [reasons, traffic].every(({ data, error }) => (data ?? error) !== undefined);
  return (
    <>
      <header class="head">
        <h1>{device.name}</h1>
        <StateBadge state={state} />
        <Changes device={device} path={path} admin={admin} reload={reload} />
      </header>
      {!arrived.current && <Loading />}
      {arrived.current && (
        <>
          {state !== "online" && <Reasons reasons={reasons.data ?? []} />}
          <TrafficSection traffic={traffic} span={span} onSpan={setSpan}>
            <p class={live ? "rates" : "rates unknown"}>
              <span class="down">{t("device.live-down", { rate: formatRate(live?.txRate ?? 0) })}</span>
              <span class="up">{t("device.live-up", { rate: formatRate(live?.rxRate ?? 0) })}</span>
            </p>
          </TrafficSection>
          <section>
            <h2>{t("device.details")}</h2>
            <dl class="facts">
              <Fact name={t("device.addresses")} value={device.addresses.join(", ") || "–"} code />
              {device.routedNetworks.length > 0 && (
                <Fact name={t("device.routed-networks")} value={device.routedNetworks.join(", ")} code long />
              )}
              <Fact name={t("devices.network")} value={device.network.name} />
              <Fact name={t("devices.owner")} value={device.owner?.name ?? t("devices.no-owner")} />
              <Fact
                name={t("devices.handshake")}
                value={lastHandshake ? formatAgo(lastHandshake, now) : t("never")}
              />
              <Fact name={t("device.endpoint")} value={endpoint ?? "–"} code />
              <Fact name={t("rate.down")} value={formatBytes(txBytes)} />
              <Fact name={t("rate.up")} value={formatBytes(rxBytes)} />
              <Fact name={t("device.created")} value={formatTime(device.createdAt)} />
              <Fact
                name={t("device.expires")}
                value={device.expiresAt ? formatTime(device.expiresAt) : t("never")}
              />
              <Fact name={t("device.public-key")} value={device.publicKey} code long copy />
            </dl>
          </section>
          <Config path={admin ? path : `me/${path}`} />
        </>
      )}
    </>
  );
}

function Fact(
  { name, value, code, long, copy }: {
    name: string;
    value: string;
    code?: boolean;
    long?: boolean;
    copy?: boolean;
  },
) {
  return (
    <div class={long ? "long" : ""}>
      <dt>{name}</dt>
      <dd>
        {code ? <code>{value}</code> : value}
        {copy && <CopyButton text={value} label={name} />}
      </dd>
    </div>
  );
}

/** Read again when the state changes, because the reasons change with it. */
function useReasons(path: string, state: string): Resource<readonly Reason[]> {
  const reasons = useResource<readonly Reason[]>(`${path}/reasons`);
  const { reload } = reasons;
  const read = useRef(state);
  useEffect(() => {
    if (read.current === state) return;
    read.current = state;
    reload();
  }, [state, reload]);
  return reasons;
}

function Reasons({ reasons }: { reasons: readonly Reason[] }) {
  if (reasons.length === 0) return null;
  return (
    <section class="why notice">
      <h2>{t("device.why")}</h2>
      <ul>{reasons.map((reason) => <li key={reason.code}>{reasonText(reason)}</li>)}</ul>
    </section>
  );
}

/** The server's text is in English. Its values are inserted into the page's own text. */
function reasonText({ code, text, values = {} }: Reason): string {
  const told = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, name === "when" ? formatTime(value) : value]),
  );
  return tIfKnown(`reason.${code}`, told) ?? text;
}

function useTraffic(path: string, span: Span): Resource<Traffic> {
  const traffic = useResource<Traffic>(`${path}/traffic?span=${span}`);
  const { reload } = traffic;
  useEffect(() => {
    // The traffic is stored per minute.
    const timer = setInterval(() => document.hidden || reload(), 60_000);
    return () => clearInterval(timer);
  }, [reload]);
  return traffic;
}

function TrafficSection(
  { traffic: { data: traffic, error, reload }, span, onSpan, children }: {
    traffic: Resource<Traffic>;
    span: Span;
    onSpan: (span: Span) => void;
    children: preact.ComponentChildren;
  },
) {
  const [rx, tx] = useMemo(() => sums(traffic), [traffic]);
  return (
    <section>
      <h2>{t("device.traffic")}</h2>
      {children}
      <fieldset class="segments">
        <legend class="hidden">{t("device.span")}</legend>
        {SPANS.map((each) => (
          <label key={each}>
            <input type="radio" name="span" checked={span === each} onChange={() => onSpan(each)} />
            <span>{t(`device.${each}`)}</span>
          </label>
        ))}
      </fieldset>
      <Failure error={error} retry={reload} />
      {traffic && (rx + tx === 0 ? <p class="empty">{t("device.no-traffic")}</p> : (
        <TrafficChart
          traffic={traffic}
          label={t("device.chart", { rx: formatBytes(tx), tx: formatBytes(rx) })}
        />
      ))}
    </section>
  );
}

function sums(traffic: Traffic | undefined): [rx: number, tx: number] {
  let [rx, tx] = [0, 0];
  for (const [, received, sent] of traffic?.points ?? []) {
    rx += received;
    tx += sent;
  }
  return [rx, tx];
}

function Config({ path }: { path: string }) {
  const [shown, setShown] = useState(false);
  const { data: config, error } = useResource<string>(shown ? `${path}/config` : undefined);
  return (
    <details class="config" onToggle={(event) => setShown(event.currentTarget.open)}>
      <summary>{t("device.config")}</summary>
      <p class="hint">{t("device.config-note")}</p>
      <Failure error={error} />
      {config && (
        <>
          <pre tabIndex={0}>{config}</pre>
          <CopyButton text={config} label={t("device.config")} />
        </>
      )}
    </details>
  );
}

function Changes(
  { device, path, admin, reload }: { device: Device; path: string; admin: boolean; reload: () => void },
) {
  const [open, setOpen] = useState<"edit" | "remove">();
  const { refresh } = useSession();
  const action = useAction();
  const close = () => setOpen(undefined);
  // Users change their own devices below /me, where the server applies the rules for users.
  const target = admin ? path : `me/${path}`;
  const removeDevice = () =>
    action.run(async () => {
      await remove(target);
      refresh();
      navigate(admin ? "/devices" : "/mine");
    });
  const disabled = device.state === "disabled";
  const toggle = () =>
    action.run(async () => {
      await patch(target, { disabled: !disabled });
      reload();
    });
  return (
    <div class="actions">
      <button type="button" class="quiet" onClick={() => setOpen("edit")}>{t("edit")}</button>
      {admin && (
        <button type="button" class="quiet" disabled={action.busy} onClick={toggle}>
          {t(disabled ? "device.enable" : "device.disable")}
        </button>
      )}
      <button type="button" class="quiet bad" onClick={() => setOpen("remove")}>{t("remove")}</button>
      {open === undefined && <Failure error={action.error} />}
      {open === "edit" && (
        <Edit
          device={device}
          target={target}
          admin={admin}
          action={action}
          onClose={close}
          onDone={() => {
            close();
            reload();
          }}
        />
      )}
      {open === "remove" && (
        <Confirm
          title={t("device.remove-title", { name: device.name })}
          text={t("device.remove-text")}
          action={t("remove")}
          busy={action.busy}
          error={action.error}
          onConfirm={removeDevice}
          onClose={close}
        />
      )}
    </div>
  );
}

function Edit(
  { device, target, admin, action, onClose, onDone }: {
    device: Device;
    target: string;
    admin: boolean;
    action: Action;
    onClose: () => void;
    onDone: () => void;
  },
) {
  const [name, setName] = useState(device.name);
  const [expires, setExpires] = useState(toLocalTime(device.expiresAt));
  const [networks, setNetworks] = useState(device.routedNetworks.join("\n"));
  const changes = useChanges({
    name,
    expiresAt: fromLocalTime(expires),
    routedNetworks: splitList(networks),
  });
  const save = () =>
    action.run(async () => {
      if (Object.keys(changes).length > 0) await patch(target, changes);
      onDone();
    });
  return (
    <DialogForm
      title={t("edit")}
      submit={t("save")}
      onSubmit={save}
      onClose={onClose}
      busy={action.busy}
      error={action.error}
    >
      <Field
        label={t("add.name")}
        error={action.errorOf("name")}
        value={name}
        onValue={setName}
        maxLength={64}
        required
      />
      {admin && (
        <Field
          label={t("device.expires")}
          hint={t("device.expiry-hint")}
          error={action.errorOf("expiresAt")}
          type="datetime-local"
          value={expires}
          onValue={setExpires}
        />
      )}
      {admin && (
        <TextArea
          label={t("device.routed-networks")}
          hint={t("device.routed-networks-hint")}
          error={action.errorOf("routedNetworks")}
          value={networks}
          onValue={setNetworks}
        />
      )}
    </DialogForm>
  );
}
