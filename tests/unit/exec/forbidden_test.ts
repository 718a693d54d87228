import { deepEqual, equal, match } from "node:assert/strict";
import { explainForbidden, type NamespaceFacts } from "../../../core/exec/forbidden.ts";

const OPEN: NamespaceFacts = {
  maxUserNamespaces: 96_365,
  maxNetNamespaces: 96_365,
  maxMountNamespaces: 96_365,
  unprivilegedClone: undefined,
  apparmorRestricts: undefined,
  seccomp: false,
  root: false,
};
const REFUSED = "unshare: unshare failed: Operation not permitted";

function explain(facts: Partial<NamespaceFacts>, complaint = REFUSED): string {
  const { cause = "nothing", remedy = "" } = explainForbidden({ ...OPEN, ...facts }, complaint) ?? {};
  return `${cause}: ${remedy}`;
}

Deno.test("the setting that forbids namespaces is named, with the command that allows them", () => {
  match(
    explain({ maxUserNamespaces: undefined }),
    /^this kernel has no user namespaces \(CONFIG_USER_NS\): $/,
  );
  match(
    explain({ maxUserNamespaces: 0 }),
    /user\.max_user_namespaces forbids.*-w user\.max_user_namespaces=1024/,
  );
  match(explain({ maxNetNamespaces: 0 }), /user\.max_net_namespaces forbids/);
  match(explain({ unprivilegedClone: false }), /kernel\.unprivileged_userns_clone forbids.*_clone=1/);
  match(
    explain({ apparmorRestricts: true }),
    /apparmor_restrict_unprivileged_userns forbids.*userns=0, or with an/,
  );
  match(explain({ seccomp: true }), /the seccomp profile .*--security-opt seccomp=FILE/);
  match(
    explain({}, "unshare: unshare failed: No space left on device"),
    /^the limit of namespaces is reached/,
  );
});

Deno.test("a setting that only restricts other users is not reported for root", () => {
  equal(explain({ root: true, unprivilegedClone: false, apparmorRestricts: true }), "nothing: ");
});

Deno.test("no obstacle is reported if nothing forbids namespaces, or a filter may allow them", () => {
  equal(explainForbidden(OPEN, REFUSED), undefined);
  equal(explainForbidden({ ...OPEN, seccomp: true }, ""), undefined);
  deepEqual(explainForbidden({ ...OPEN, unprivilegedClone: true, apparmorRestricts: false }, ""), undefined);
});
