/**
 * All devices: search, filter by state, sorting, and live values.
 *
 * @module
 */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Sort, useDeviceList, useVisibleRows } from "../device_list.ts";
import { useNow, useTitle } from "../hooks.ts";
import { type LiveDevice, useLive } from "../live.ts";
import { Failure, Select } from "../parts/form.tsx";
import { Loading } from "../parts/loading.tsx";
import { Sparkline } from "../parts/sparkline.tsx";
import { StateDot, STATES } from "../parts/state.tsx";
import { Link, navigate } from "../router.tsx";
import { formatAgo, formatBytes, formatRate, t } from "../text.ts";
import type { Device } from "../types.ts";

/** Height of a row in pixels. style.css has the same value. */
const ROW = 52;
/** Milliseconds without typing before the search is sent. */
const TYPING = 120;

const COLUMNS:
  readonly (readonly [key: "name" | "address" | "owner" | "handshake" | "rate" | "traffic", Sort?])[] = [
    ["name", "name"],
    ["address"],
    ["owner"],
    ["handshake", "handshake"],
    ["rate"],
    ["traffic"],
  ];

/** The screen. */
export function Devices() {
  useTitle(t("devices.title"));
  const [typed, setTyped] = useState(() => new URLSearchParams(location.search).get("search") ?? "");
  const [search, setSearch] = useState(typed);
  const [state, setState] = useState("");
  const [sort, setSort] = useState("name");
  useEffect(() => {
    const timer = setTimeout(() => setSearch(typed.trim()), TYPING);
    return () => clearTimeout(timer);
  }, [typed]);
  useSlashKey();
  const list = useDeviceList({ search, state, sort });
  const { devices, total, error } = list;

  return (
    <>
      <header class="head">
        <h1>{t("devices.title")}</h1>
        <Link class="button primary" to="/add">{t("devices.add")}</Link>
      </header>
      <div class="tools" role="search">
        <input
          id="search"
          type="search"
          value={typed}
          placeholder={t("devices.search-hint")}
          aria-label={t("devices.search")}
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
        <Select
          inline
          label={t("devices.state")}
          value={state}
          onValue={setState}
          options={[["", t("devices.all")], ...STATES.map((state) => [state, t(`state.${state}`)] as const)]}
        />
        <p class="count" role="status">{total !== undefined && t("devices.count", { n: total })}</p>
      </div>
      <Failure error={error} retry={list.reload} />
      {total === 0
        ? <p class="empty">{t(search === "" && state === "" ? "devices.empty" : "devices.no-match")}</p>
        : (
          <DeviceTable
            devices={devices}
            total={total ?? 0}
            sort={sort}
            onSort={setSort}
            readOn={list.readOn}
          />
        )}
      <Loading until={total ?? error} />
    </>
  );
}

function DeviceTable(
  { devices, total, sort, onSort, readOn }: {
    devices: readonly Device[];
    total: number;
    sort: string;
    onSort: (sort: string) => void;
    readOn: () => void;
  },
) {
  const body = useRef<HTMLTableSectionElement>(null);
  const [from, to] = useVisibleRows(body, devices.length, ROW);
  const visible = devices.slice(from, to);
  const live = useLive(useMemo(() => visible.map(({ id }) => id), [devices, from, to]));
  const now = useNow();
  useEffect(() => {
    if (to > devices.length - 40) readOn();
  }, [to, devices.length, readOn]);

  const sortBy = (column: Sort) => onSort(sort === column ? `-${column}` : column);
  return (
    <table class="devices" aria-rowcount={total + 1}>
      <thead>
        <tr>
          {COLUMNS.map(([key, column]) => (
            <th
              key={key}
              scope="col"
              class={key}
              aria-sort={column && sort.endsWith(column)
                ? sort.startsWith("-") ? "descending" : "ascending"
                : undefined}
            >
              {column
                ? (
                  <button type="button" onClick={() => sortBy(column)}>
                    {t(`devices.${key}`)}
                    <span class="arrow" aria-hidden="true" />
                  </button>
                )
                : t(`devices.${key}`)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody ref={body}>
        <Spacer rows={from} />
        {visible.map((device, index) => (
          <Row key={device.id} device={device} live={live.get(device.id)} now={now} index={from + index} />
        ))}
        <Spacer rows={devices.length - to} />
      </tbody>
    </table>
  );
}

/** Takes the place of the rows that are not in the document, so that the page has its full length. */
function Spacer({ rows }: { rows: number }) {
  return rows > 0 ? <tr aria-hidden="true" class="spacer" style={{ height: `${rows * ROW}px` }} /> : null;
}

function Row(
  { device, live, now, index }: {
    device: Device;
    live: LiveDevice | undefined;
    now: number;
    index: number;
  },
) {
  const { state, lastHandshake, rxBytes, txBytes } = live ?? device;
  const rate = live ? live.rxRate + live.txRate : 0;
  return (
    <tr aria-rowindex={index + 2} onClick={(event) => openRow(event, device.id)}>
      <td class="name">
        <StateDot state={state} />
        <Link to={`/devices/${device.id}`}>{device.name}</Link>
      </td>
      <td class="address">{device.addresses[0] ?? "–"}</td>
      <td class="owner">{device.owner?.name ?? <span class="faint">{t("devices.no-owner")}</span>}</td>
      <td class="handshake">
        {lastHandshake ? formatAgo(lastHandshake, now) : <span class="faint">{t("never")}</span>}
      </td>
      <td class="rate">
        {live && live.rates.some((rate) => rate > 0) && <Sparkline rates={live.rates} />}
        <span>{rate > 0 ? formatRate(rate) : "–"}</span>
      </td>
      <td class="traffic">{formatBytes(rxBytes + txBytes)}</td>
    </tr>
  );
}

/** A click anywhere in a row opens the device. Keyboards and screen readers use the link. */
function openRow(event: MouseEvent, id: string): void {
  if ((event.target as Element).closest("a, button") || getSelection()?.toString()) return;
  navigate(`/devices/${id}`);
}

/** Many pages use this key for their search. */
function useSlashKey(): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const inField = (event.target as Element).closest("input, textarea, select, dialog");
      if (event.key !== "/" || inField || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      document.getElementById("search")?.focus();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}
