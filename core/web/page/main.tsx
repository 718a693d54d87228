/**
 * The page: selects the screen, and shows the navigation around it.
 *
 * @module
 */

import { type ComponentChildren, render } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { ConnectionLine } from "./parts/connection.tsx";
import { Failure } from "./parts/form.tsx";
import { Preferences } from "./parts/preferences.tsx";
import { Link, navigate, usePath } from "./router.tsx";
import { AcceptInvite } from "./screens/invite.tsx";
import { Add } from "./screens/add.tsx";
import { DeviceScreen } from "./screens/device.tsx";
import { Devices } from "./screens/devices.tsx";
import { Later } from "./parts/later.tsx";
import { Loading } from "./parts/loading.tsx";
import { Mine } from "./screens/mine.tsx";
import { Setup } from "./screens/setup.tsx";
import { SignIn } from "./screens/sign_in.tsx";
import { SessionContext } from "./session.ts";
import { useSignedIn } from "./signed_in.ts";
import { type Key, loadLanguage, t } from "./text.ts";
import { applyTheme } from "./theme.ts";
import type { Me } from "./types.ts";

const USER_SECTIONS: readonly (readonly [path: string, Key])[] = [
  ["/mine", "nav.mine"],
  ["/account", "nav.account"],
];
const ADMIN_SECTIONS: readonly (readonly [path: string, Key])[] = [
  ["/devices", "nav.devices"],
  ["/mine", "nav.mine"],
  ["/people", "nav.people"],
  ["/network", "nav.network"],
  ["/activity", "nav.activity"],
  ["/settings", "nav.settings"],
  ["/account", "nav.account"],
];

/** Sections in a phone's navigation bar. The others are behind "More". */
const IN_BAR = 4;

/** Screens that only administrators or few visits need are loaded when they are first shown. */
const administration = () => import("./screens/administration.ts");

function App() {
  const path = usePath();
  // The fragment of a link is a secret that can be used once. It is read once and removed from the address.
  const token = useMemo(() => takeFragment(), []);
  const asks = path !== "/setup" && path !== "/invite";
  const { session, me, error, refresh, enter } = useSignedIn(asks, () => navigate("/"));

  if (path === "/setup") {
    return (
      <Alone>
        <Setup
          token={token}
          onDone={(me) => {
            enter(me);
            navigate("/add", { replace: true });
          }}
        />
      </Alone>
    );
  }
  if (path === "/invite") {
    return (
      <Alone>
        <AcceptInvite token={token} />
      </Alone>
    );
  }
  // If somebody is signed in, an error must not replace a screen with what was typed there.
  if (error !== undefined && me === undefined) {
    return (
      <Alone>
        <h1>{t("error.title")}</h1>
        <Failure error={error} retry={refresh} />
      </Alone>
    );
  }
  if (me === undefined) {
    return (
      <Alone>
        <Loading />
      </Alone>
    );
  }
  if (!session) {
    return (
      <Alone>
        <SignIn onSignedIn={enter} />
      </Alone>
    );
  }
  return (
    <SessionContext.Provider value={session}>
      <Frame path={path} me={session.me}>
        <Screen path={path} admin={session.me.user.role === "admin"} />
      </Frame>
    </SessionContext.Provider>
  );
}

function takeFragment(): string {
  if (!["/setup", "/invite"].includes(location.pathname)) return "";
  const token = location.hash.slice(1);
  if (token !== "") history.replaceState(null, "", location.pathname + location.search);
  return token;
}

function Screen({ path, admin }: { path: string; admin: boolean }) {
  const [, section, id] = path.split("/");
  switch (section) {
    case "":
      return admin ? <Devices /> : <Mine />;
    case "devices":
      if (id) return <DeviceScreen key={id} id={id} />;
      if (admin) return <Devices />;
      break;
    case "mine":
      return <Mine />;
    case "add":
      return <Add />;
    case "account":
      return <Later load={administration} name="Account" />;
    case "people":
      if (admin) return <Later load={administration} name="People" part={id} />;
      break;
    case "network":
      if (admin) return <Later load={administration} name="Networks" />;
      break;
    case "activity":
      if (admin) return <Later load={administration} name="Activity" />;
      break;
    case "settings":
      if (admin) return <Later load={administration} name="Settings" />;
  }
  return (
    <>
      <h1>{t("not-found")}</h1>
      <Link to="/">{t("to-start")}</Link>
    </>
  );
}

/** A screen without navigation, because there is no session yet. */
function Alone({ children }: { children: ComponentChildren }) {
  return (
    <div class="alone">
      <header class="brand">wgd</header>
      <main id="content" class="card">{children}</main>
      <footer>
        <Preferences />
      </footer>
    </div>
  );
}

function Frame({ path, me, children }: { path: string; me: Me; children: ComponentChildren }) {
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    // When the screen changes, the focus moves to its beginning, as when a page is loaded.
    if (!first.current) main.current?.focus();
    first.current = false;
  }, [path]);
  const sections = me.user.role === "admin" ? ADMIN_SECTIONS : USER_SECTIONS;
  const at = path === "/" ? sections[0]![0] : path;
  return (
    <div class="frame">
      <a class="skip" href="#content">{t("skip")}</a>
      <nav aria-label={t("nav.label")}>
        <p class="brand">wgd</p>
        <ul>
          {sections.map(([to, text], index) => (
            <li key={to} class={index < IN_BAR ? "" : "minor"}>
              <Link to={to} current={at.startsWith(to)}>{t(text)}</Link>
            </li>
          ))}
          {sections.length > IN_BAR && (
            <li class="more" key={path}>
              <details>
                <summary>{t("nav.more")}</summary>
                <ul>
                  {sections.slice(IN_BAR).map(([to, text]) => (
                    <li key={to}>
                      <Link to={to} current={at.startsWith(to)}>{t(text)}</Link>
                    </li>
                  ))}
                </ul>
              </details>
            </li>
          )}
        </ul>
      </nav>
      <main id="content" ref={main} tabIndex={-1}>
        {!me.settled && <p class="notice" role="status">{t("settling")}</p>}
        {children}
      </main>
    </div>
  );
}

applyTheme();
await loadLanguage();
render(
  <>
    <ConnectionLine />
    <App />
  </>,
  document.getElementById("page")!,
);
