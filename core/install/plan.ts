/**
 * The files of an installation, and their places. This module does not read the system.
 *
 * @module
 */

import service from "./wgd-quick@.service" with { type: "text" };
import proxyService from "./wgd-proxy@.service" with { type: "text" };
import target from "./wgd-quick.target" with { type: "text" };
import keeperService from "./wgd-keeper.service" with { type: "text" };
import webService from "./wgd-web.service" with { type: "text" };
import webUser from "./wgd.conf" with { type: "text" };

/** One file of an installation. */
export interface InstallFile {
  /** Absolute, as seen by the installed system. */
  readonly path: string;
  readonly content:
    /** The executable that is installed. */
    | { readonly kind: "program" }
    | { readonly kind: "text"; readonly text: string }
    | { readonly kind: "link"; readonly to: string };
  /** Other files with its name have priority, wherever the system looks. Then this one is not made. */
  readonly yieldsTo?: "command" | "unit";
}

/** Generated files to install besides the executable. */
export interface InstallParts {
  /** The completion script of each shell. */
  readonly completions: Readonly<Record<"bash" | "zsh" | "fish", string>>;
  /** Manual pages. */
  readonly manual: Iterable<{ readonly file: string; readonly section: number; readonly roff: string }>;
}

/** Why wgd could not be installed or uninstalled. Nothing was changed. */
export class InstallError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "InstallError";

  /**
   * Makes the error.
   *
   * @param message What is wrong.
   * @param hint What to do about it.
   * @param options.cause The error behind it.
   */
  constructor(message: string, readonly hint: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** The folders in which systemd looks for units, as far as they belong to a prefix. */
const UNIT_PREFIXES = ["/usr", "/usr/local"];

/** Whether systemd finds units below a prefix. */
export function systemdLooksBelow(prefix: string): boolean {
  return UNIT_PREFIXES.includes(prefix);
}

/** Path of the unit for interfaces. */
export function unitPath(prefix: string, name = "wgd-quick"): string {
  return `${prefix}/lib/systemd/system/${name}@.service`;
}

function unit(prefix: string, text = service): string {
  return text.replaceAll("/usr/local/bin/wgd", `${prefix}/bin/wgd`);
}

/** Path of the unit for proxies, which users start without root (systemd.unit(5), user unit search path). */
function proxyUnitPath(prefix: string): string {
  const folder = systemdLooksBelow(prefix) ? "lib" : "share";
  return `${prefix}/${folder}/systemd/user/wgd-proxy@.service`;
}

function text(path: string, text: string): InstallFile {
  return { path, content: { kind: "text", text } };
}

/**
 * Lists all files below a prefix, the executable first.
 *
 * @param prefix An absolute path without a slash at its end, such as `/usr/local`.
 * @param forUser Whether it is for one user, who does not need the units of interfaces.
 * @throws {InstallError} If the prefix cannot be written into a unit.
 */
export function installFiles(
  prefix: string,
  { completions, manual }: InstallParts,
  forUser = false,
): InstallFile[] {
  // A unit's command line is split at spaces, and % and quotes have a meaning (systemd.service(5)).
  if (!/^(\/[\w.+-]+)+$/.test(prefix) || /\/\.\.?(\/|$)/.test(prefix)) {
    throw new InstallError(
      `"${prefix}" cannot be the prefix`,
      "expected an absolute path of letters, digits and . _ + -, for example /usr/local",
    );
  }
  const units = `${prefix}/lib/systemd/system`;
  const share = `${prefix}/share`;
  return [
    { path: `${prefix}/bin/wgd`, content: { kind: "program" } },
    ...forUser ? [] : [text(unitPath(prefix), unit(prefix)), text(`${units}/wgd-quick.target`, target)],
    text(proxyUnitPath(prefix), unit(prefix, proxyService)),
    text(`${share}/bash-completion/completions/wgd`, completions.bash),
    text(`${share}/zsh/site-functions/_wgd`, completions.zsh),
    text(`${share}/fish/vendor_completions.d/wgd.fish`, completions.fish),
    ...[...manual].map(({ file, section, roff }) => text(`${share}/man/man${section}/${file}`, roff)),
  ];
}

/** Links for `wg` and `wg-quick`, and the unit for `systemctl enable wg-quick@wg0`. */
export function installLinks(prefix: string): InstallFile[] {
  return [
    ...["wg", "wg-quick"].map((name): InstallFile => ({
      path: `${prefix}/bin/${name}`,
      content: { kind: "link", to: "wgd" },
      yieldsTo: "command",
    })),
    // A separate unit, because systemctl does not enable links to units.
    {
      path: unitPath(prefix, "wg-quick"),
      content: { kind: "text", text: unit(prefix) },
      yieldsTo: "unit",
    },
  ];
}

/** Path of the file that describes the user of the web process (sysusers.d(5)). */
export function webUserPath(prefix: string): string {
  return `${prefix}/lib/sysusers.d/wgd.conf`;
}

/** The files that make `wgd web` a service: units of the keeper and of the web process, and the user of the latter. */
export function installWeb(prefix: string): InstallFile[] {
  const units = `${prefix}/lib/systemd/system`;
  return [
    text(webUserPath(prefix), webUser),
    text(`${units}/wgd-keeper.service`, unit(prefix, keeperService)),
    text(`${units}/wgd-web.service`, unit(prefix, webService)),
  ];
}
