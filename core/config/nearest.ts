/**
 * "Did you mean …?": the known word that is closest to a misspelled one.
 *
 * @module
 */

/**
 * Finds the word that is closest to what was typed, if at most a third of it differs.
 *
 * @param typed Compared without regard to case.
 */
export function nearest(typed: string, candidates: readonly string[]): string | undefined {
  // A long text is not a misspelled word, and computing its distance takes long.
  if (typed.length > 40) return undefined;
  let best: string | undefined;
  let bestDistance = Math.floor(Math.max(3, typed.length) / 3) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(typed.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Counts the letters to add, drop, change, or swap with their neighbour to get from one word to the other. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + change);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, beforeLast[j - 2]! + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
