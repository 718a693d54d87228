/**
 * The devices that have been read from the server. They are read in pages; the next page is read when the user has
 * scrolled near the end.
 *
 * @module
 */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { get, query } from "./api.ts";
import type { Device, Listed } from "./types.ts";

/** What the server sorts by. */
export type Sort = "name" | "handshake" | "created";

/** What to list, and in which order. */
export interface Wanted {
  readonly search: string;
  readonly state: string;
  readonly sort: string;
}

/** The list, as far as it has been read. */
export interface DeviceList {
  readonly devices: readonly Device[];
  /** Devices that match, including those not read yet; undefined before the first response. */
  readonly total: number | undefined;
  readonly error: unknown;
  /** Reads the next page, if there is one. */
  readonly readOn: () => void;
  readonly reload: () => void;
}

const PAGE = 100;

/**
 * Reads the list again when the search, the state or the order changes. The old list stays visible until the response
 * is there.
 */
export function useDeviceList({ search, state, sort }: Wanted): DeviceList {
  const [devices, setDevices] = useState<readonly Device[]>([]);
  const [total, setTotal] = useState<number>();
  const [error, setError] = useState<unknown>();
  const [turn, setTurn] = useState(0);
  const position = useRef<{ next: string | null; aborter: AbortController; reading: boolean }>(undefined);

  const read = useCallback(async (cursor: string | undefined) => {
    const here = position.current;
    if (!here || here.reading) return;
    here.reading = true;
    try {
      const path = `devices${query({ search, state, sort, cursor, limit: PAGE })}`;
      const page = await get<Listed<Device>>(path, here.aborter.signal);
      if (here !== position.current) return;
      here.next = page.next;
      setDevices((before) => cursor === undefined ? page.items : [...before, ...page.items]);
      if (page.total !== undefined) setTotal(page.total);
      setError(undefined);
    } catch (error) {
      if (here === position.current) setError(error);
    } finally {
      here.reading = false;
    }
  }, [search, state, sort]);

  useEffect(() => {
    const aborter = new AbortController();
    position.current = { next: null, aborter, reading: false };
    read(undefined);
    return () => aborter.abort();
  }, [read, turn]);

  const readOn = useCallback(() => {
    const next = position.current?.next;
    if (next) read(next);
  }, [read]);
  return { devices, total, error, readOn, reload: useCallback(() => setTurn((turn) => turn + 1), []) };
}

/** Rows drawn above and below those in view, so that scrolling does not show gaps. */
const AROUND = 8;

/** Which rows of a list are near the window. Only those are in the document. */
export function useVisibleRows(
  box: { readonly current: HTMLElement | null },
  count: number,
  rowHeight: number,
): readonly [from: number, to: number] {
  const [range, setRange] = useState<readonly [number, number]>([0, 30]);
  useEffect(() => {
    let frame = 0;
    const measure = () => {
      frame = 0;
      const top = box.current?.getBoundingClientRect().top ?? 0;
      const from = Math.max(0, Math.floor(-top / rowHeight) - AROUND);
      const to = Math.ceil((innerHeight - top) / rowHeight) + AROUND;
      setRange((before) => before[0] === from && before[1] === to ? before : [from, to]);
    };
    const later = () => frame ||= requestAnimationFrame(measure);
    measure();
    addEventListener("scroll", later, { passive: true });
    addEventListener("resize", later);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener("scroll", later);
      removeEventListener("resize", later);
    };
  }, [rowHeight, count]);
  return [Math.min(range[0], count), Math.min(Math.max(range[1], 0), count)];
}
