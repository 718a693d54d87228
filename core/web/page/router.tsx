/**
 * Navigation within the page, without loading it again.
 *
 * @module
 */

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

const listeners = new Set<() => void>();

/** Navigates to another address of the page. */
export function navigate(to: string, options: { replace?: boolean } = {}): void {
  if (to === location.pathname + location.search) return;
  if (options.replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  scrollTo(0, 0);
  for (const listener of listeners) listener();
}

/** The path that is shown. It follows the browser's address. */
export function usePath(): string {
  const [path, setPath] = useState(location.pathname);
  useEffect(() => {
    const changed = () => setPath(location.pathname);
    listeners.add(changed);
    addEventListener("popstate", changed);
    return () => {
      listeners.delete(changed);
      removeEventListener("popstate", changed);
    };
  }, []);
  return path;
}

/** A link within the page. The browser handles it if the user opens it in another tab. */
export function Link(
  { to, children, current, ...rest }: {
    to: string;
    children: ComponentChildren;
    class?: string;
    /** Whether the link leads to the present screen. */
    current?: boolean;
  },
) {
  const go = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(to);
  };
  return <a href={to} onClick={go} aria-current={current ? "page" : undefined} {...rest}>{children}</a>;
}
