/**
 * A screen whose code is loaded when it is first shown.
 *
 * @module
 */

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { whenConnected } from "../connection.ts";
import { Failure } from "./form.tsx";
import { Loading } from "./loading.tsx";

type Part = { readonly part?: string | undefined };

/** Shows one of a module's screens. */
export function Later<Name extends string>(
  { load, name, part }: {
    load: () => Promise<Readonly<Record<Name, ComponentType<Part>>>>;
    name: Name;
    part?: string | undefined;
  },
) {
  const [module, setModule] = useState<Readonly<Record<Name, ComponentType<Part>>>>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    load().catch(() => whenConnected().then(load)).then((module) => setModule(() => module), setError);
  }, [load]);
  if (error !== undefined) return <Failure error={error} retry={() => location.reload()} />;
  const Screen: ComponentType<Part> | undefined = module?.[name];
  return Screen ? <Screen part={part} /> : <Loading />;
}
