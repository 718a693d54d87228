/**
 * My devices: everything that a user needs, and one big button.
 *
 * @module
 */

import { useMemo } from "preact/hooks";
import { useNow, useResource, useTitle } from "../hooks.ts";
import { useLive } from "../live.ts";
import { Failure } from "../parts/form.tsx";
import { Loading } from "../parts/loading.tsx";
import { StateBadge } from "../parts/state.tsx";
import { Link } from "../router.tsx";
import { useSession } from "../session.ts";
import { formatAgo, formatRate, t } from "../text.ts";
import type { Device } from "../types.ts";

/** Shown before the response arrives. */
const NONE: readonly Device[] = [];

/** The screen. */
export function Mine() {
  useTitle(t("mine.title"));
  const { me } = useSession();
  const { data, error, reload } = useResource<readonly Device[]>("me/devices");
  const devices = data ?? NONE;
  const live = useLive(useMemo(() => devices.map(({ id }) => id), [devices]));
  const now = useNow();
  return (
    <>
      <header class="head">
        <h1>{t("mine.title")}</h1>
        {me.maxDevices !== null && (
          <p class="count">{t("mine.count", { n: devices.length, max: me.maxDevices })}</p>
        )}
      </header>
      <Failure error={error} retry={reload} />
      <Loading until={data ?? error} />
      {data && devices.length === 0 && <p class="lead">{t("mine.empty")}</p>}
      <ul class="cards">
        {devices.map((device) => {
          const { state, lastHandshake, rxRate, txRate } = {
            rxRate: 0,
            txRate: 0,
            ...device,
            ...live.get(device.id),
          };
          return (
            <li key={device.id}>
              <h2>
                <Link to={`/devices/${device.id}`}>{device.name}</Link>
              </h2>
              <StateBadge state={state} />
              <p>
                <code>{[...device.addresses, ...device.routedNetworks].join(", ")}</code>
              </p>
              <p class="hint">
                {lastHandshake
                  ? `${t("devices.handshake")}: ${formatAgo(lastHandshake, now)}`
                  : t("state.never")}
                {rxRate + txRate > 0 && ` · ${formatRate(rxRate + txRate)}`}
              </p>
            </li>
          );
        })}
      </ul>
      {/* Not before the devices, which would move it. */}
      {(data ?? error) !== undefined && <Link class="button primary big" to="/add">{t("devices.add")}</Link>}
    </>
  );
}
