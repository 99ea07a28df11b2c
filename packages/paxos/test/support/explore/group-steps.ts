import { letterText } from "./letters.js";
import type { Nodes } from "./nodes.js";

/** What may happen, in the model of a group that is awake. An action is its kind and, times the kinds there are, its letter or node. */
export const DELIVER = 0;
export const SYNC = 1;
export const CRASH = 2;
export const TICK = 3;
export const PROPOSE = 4;
export const RESIGN = 5;
export const CHANGE = 6;
export const TIME = 7;
export const READ = 8;
/** A replica brings its state to disk and lets go of the log through there. */
export const TRIM = 9;
/** The next step of taking a state over. */
export const INSTALL = 10;
/** A newcomer's disk is replaced by an empty one. */
export const LOSE = 11;
/** A log loses its newest promise, and its owner comes back in doubt. */
export const TEAR = 12;
export const KINDS = 13;

export function actionText(action: number, names: readonly string[], nodes: Nodes): string {
  const arg = Math.floor(action / KINDS);
  const name = names[arg] as string;
  switch (action % KINDS) {
    case DELIVER:
      return letterText(names, nodes.letters.value(arg));
    case SYNC:
      return `${name}: a write becomes durable`;
    case CRASH:
      return `${name} crashes and comes back`;
    case TICK:
      return `${name}: the timer`;
    case PROPOSE:
      return `${name} is asked for a command`;
    case RESIGN:
      return `${name} gives up leading`;
    case CHANGE:
      return `${name} is asked for the next members`;
    case TRIM:
      return `${name} lets go of its log`;
    case INSTALL:
      return `${name} goes on with taking a state over`;
    case LOSE:
      return `${name} comes back with an empty disk`;
    case TEAR:
      return `${name} comes back in doubt, without its last promise`;
    case READ:
      return `${name} is read`;
    default:
      return "time passes";
  }
}
