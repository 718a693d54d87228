/** `wgd qr`. @module */

import { parseArgs } from "node:util";
import { isInterfaceName, savedFile } from "../../core/config/interface_name.ts";
import { writeDurably } from "../../core/durable_file.ts";
import { phoneConfig } from "../../core/qr/phone.ts";
import { qrCode, qrToPng, qrToSvg, qrToTerminal } from "../../core/qr/code.ts";
import { servicePort } from "../../core/client/system.ts";
import { fileError } from "../failure.ts";
import { QR_OPTIONS } from "../grammar.ts";
import { decodeText, readBytes } from "../input.ts";
import { programName, shortName } from "../program.ts";
import { complain, print, printBytes } from "../render/output.ts";

/** Shows a configuration as a QR code for the WireGuard apps. */
export async function qr(args: string[]): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({
      args,
      allowPositionals: true,
      options: QR_OPTIONS,
    });
  } catch (error) {
    return usage((error as Error).message);
  }
  const { positionals: [source, output, ...more], values: { svg, png } } = parsed;
  if (source === undefined || more.length > 0 || svg && png) return usage();
  if (output !== undefined && !svg && !png) return usage("an output file needs --svg or --png before it");

  const file = await locate(source);
  let bytes: Uint8Array;
  try {
    bytes = await readBytes(file);
  } catch (error) {
    complain(`${shortName()}: cannot read "${file}": ${fileError(error)}`);
    if (file !== source) complain(`hint: there is neither a file "${source}" here nor ${file}`);
    return 1;
  }
  const { text, leftOut } = phoneConfig(decodeText(bytes).text, { file, servicePort, warn: complain });
  const code = qrCode(text);
  if (leftOut.length > 0) {
    complain(`${shortName()}: left out keys that the apps do not know: ${leftOut.join(", ")}`);
  }
  if (output !== undefined) {
    const picture = svg ? new TextEncoder().encode(qrToSvg(code)) : qrToPng(code);
    await writeDurably(output, picture);
  } else if (png && Deno.stdout.isTerminal()) {
    return usage("a terminal cannot show a PNG; name a file to write it to");
  } else if (png) {
    printBytes(qrToPng(code));
  } else {
    print(svg ? qrToSvg(code) : qrToTerminal(code));
  }
  return 0;
}

/** As in `wgd quick`, a name without a file of that name refers to the file in /etc/wireguard. */
async function locate(source: string): Promise<string> {
  const here = await Deno.stat(source).then(() => true, () => false);
  return here || !isInterfaceName(source) ? source : savedFile(source);
}

function usage(problem?: string): number {
  if (problem !== undefined) complain(`${shortName()}: ${problem}`);
  complain(`Usage: ${programName()} qr { <file>.conf | <interface> } [--svg [<file>] | --png [<file>]]`);
  return 1;
}
