/**
 * A QR code, drawn in the page.
 *
 * @module
 */

import { encode } from "uqr";

/** Width of the light margin that the standard requires around a code, in modules (ISO/IEC 18004, 5.3.8). */
const QUIET_ZONE = 4;

/** Draws a text as a code. It is dark on white in both themes, because readers require this. */
export function QrCode({ text, label }: { text: string; label: string }) {
  const { data, size } = encode([...new TextEncoder().encode(text)], { ecc: "L", border: QUIET_ZONE });
  let path = "";
  data.forEach((row, y) =>
    row.forEach((dark, x) => {
      if (dark) path += `M${x} ${y}h1v1h-1z`;
    })
  );
  return (
    <svg
      class="qr"
      viewBox={`0 0 ${size} ${size}`}
      role="img"
      aria-label={label}
      shape-rendering="crispEdges"
    >
      <path fill="#fff" d={`M0 0h${size}v${size}H0z`} />
      <path fill="#000" d={path} />
    </svg>
  );
}
