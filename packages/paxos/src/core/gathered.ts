import type { Effect } from "./types.js";

const none = undefined as unknown as Effect;
/** Of the step under way: a core calls nobody who could begin another one. */
const all: Effect[] = [];
let count = 0;

/**
 * What one step asks for. A step has two or three effects, and an array that grows by them makes room for seventeen: for thousands of groups in turn that was a good part of what they threw away. So they are gathered
 * in one place for all, and given out in an array of their own size.
 */
export const gathered = {
  push(effect: Effect): void {
    if (count < all.length) all[count] = effect;
    else all.push(effect);
    count++;
  },

  /** What an earlier step left behind when it threw is forgotten. */
  begin(): void {
    if (count > 0) gathered.take();
  },

  take(): Effect[] {
    const taken = all.slice(0, count);
    for (let i = 0; i < count; i++) all[i] = none;
    count = 0;
    return taken;
  },
};
