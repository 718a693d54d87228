import { equal } from "node:assert/strict";
import { hintOf } from "../../../cli/hint.ts";
import { SystemError } from "../../../ffi/linux/system_error.ts";
import { ConfigError } from "../../../core/config/config_error.ts";
import { FeatureError } from "../../../core/config/features.ts";
import { ValueError } from "../../../core/config/values.ts";
import { InstallError } from "../../../core/install/plan.ts";
import { PeersError } from "../../../core/peers/server_file.ts";
import { QrError } from "../../../core/qr/code.ts";
import { StepError } from "../../../core/quick/run_steps.ts";
import { QuickError } from "../../../core/quick/source.ts";
import { UapiError } from "../../../core/uapi/lines.ts";

const HINT = "do it like this";

/** Errors of every kind, and the hint that is shown for each. */
const ERRORS: [error: Error, hint: string | undefined][] = [
  [new UapiError(22, "refused", HINT), HINT],
  [new QuickError("it cannot be done", HINT), HINT],
  [new StepError("ip link show", 2, HINT), HINT],
  [new FeatureError("not a feature", HINT), HINT],
  [new ValueError("not a value", HINT), HINT],
  [new PeersError("no such peer", HINT), HINT],
  [new InstallError("no such folder", HINT), HINT],
  [new QrError("too long", HINT), HINT],
  [new ConfigError("not a port", "a.conf", 3, "ListenPort", HINT), `a.conf:3: ListenPort: ${HINT}`],
  // The hint of a cause, where the error itself has none.
  [
    new QuickError("Unable to modify interface", undefined, { cause: new UapiError(22, "refused", HINT) }),
    HINT,
  ],
  [new QuickError("it", "first", { cause: new UapiError(22, "refused", HINT) }), "first"],
  // Its message ends with the hint, so that logs have it, too.
  [new SystemError("opening /dev/net/tun", 1, HINT), undefined],
  [new QuickError("it cannot be done"), undefined],
  [new Deno.errors.NotFound("no such file"), undefined],
];

Deno.test("the hint of an error is shown, whatever kind of error it is and however the hint begins", () => {
  for (const [error, hint] of ERRORS) equal(hintOf(error), hint, error.name);
  equal(hintOf("no error"), undefined);
});
