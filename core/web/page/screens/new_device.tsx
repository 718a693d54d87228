/**
 * A new device's configuration with its private key, as a QR code or as a file. It is shown once.
 *
 * @module
 */

import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { fileName, type KeyPair, makeKeyPair, withPrivateKey } from "../keys.ts";
import { useLive } from "../live.ts";
import { QrCode } from "../parts/qr.tsx";
import { t } from "../text.ts";
import type { Added } from "../types.ts";

/** How a configuration is transferred to a device. */
export type Way = "phone" | "this";

/** A device that was just added. */
export interface NewDevice {
  readonly id: string;
  readonly name: string;
  readonly config: string;
}

/**
 * Makes keys in the browser, sends the public key to the server, and inserts the private key into the configuration
 * that the server returns.
 *
 * @param add Sends the public key.
 */
export async function addWithNewKeys(
  name: string,
  add: (publicKey: string) => Promise<Added>,
): Promise<NewDevice> {
  const { privateKey, publicKey }: KeyPair = await makeKeyPair();
  const { id, config } = await add(publicKey);
  return { id, name, config: withPrivateKey(config, privateKey) };
}

/** The code or the file, instructions, and whether the device has connected. */
export function ShowNewDevice(
  { device, way, watch, children }: {
    device: NewDevice;
    way: Way;
    /** Whether the user is allowed to see the device's state. */
    watch: boolean;
    children?: ComponentChildren;
  },
) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <section class="new-device">
      <h2 ref={heading} tabIndex={-1}>{t("add.ready", { name: device.name })}</h2>
      {way === "phone" ? <Code device={device} /> : <File device={device} />}
      {watch && <Handshake id={device.id} />}
      <p class="hint">{t("add.once")}</p>
      {children}
    </section>
  );
}

function Code({ device: { name, config } }: { device: NewDevice }) {
  return (
    <div class="handover">
      <QrCode text={config} label={t("add.qr-label", { name })} />
      <ol>
        <li>{t("add.step-1")}</li>
        <li>{t("add.step-2")}</li>
        <li>{t("add.step-3")}</li>
      </ol>
      <SaveLink name={name} config={config} />
    </div>
  );
}

function File({ device: { name, config } }: { device: NewDevice }) {
  const file = fileName(name);
  return (
    <div>
      <ol>
        <li>{t("add.file-step-1")}</li>
        <li>{t("add.file-step-2", { command: `sudo wgd quick up ./${file}` })}</li>
        <li>{t("add.step-3")}</li>
      </ol>
      <SaveLink name={name} config={config} primary />
    </div>
  );
}

function SaveLink({ name, config, primary }: { name: string; config: string; primary?: boolean }) {
  const url = useMemo(() => URL.createObjectURL(new Blob([config])), [config]);
  useEffect(() => () => URL.revokeObjectURL(url), [url]);
  const file = fileName(name);
  return (
    <a class={primary ? "button primary" : "button"} href={url} download={file}>
      {t("add.save-file", { file })}
    </a>
  );
}

function Handshake({ id }: { id: string }) {
  const ids = useMemo(() => [id], [id]);
  const connected = !!useLive(ids).get(id)?.lastHandshake;
  return (
    <p class={connected ? "notice good" : "notice"} role="status">
      <span class={`dot ${connected ? "online" : "waiting"}`} aria-hidden="true" />
      {t(connected ? "add.connected" : "add.waiting")}
    </p>
  );
}
