import { SimulationError } from "./errors.js";
import type { KnownStates } from "./explore-known.js";
import type { ExploreModel, ExplorePath } from "./explore-model.js";
import { Fingerprint } from "./fingerprint.js";
import { textOf } from "./text.js";

type Identify<S> = (state: S, into: Fingerprint) => void;

/**
 * The way to a known state. Only fingerprints and parents were kept, so the way is walked again: from a beginning, each time to a next state whose
 * number is the next in the chain of parents (Yu, Manolios and Lamport, TLC). With symmetries it is a run of one state after the other all the same.
 */
export function pathTo<S, A>(
  model: ExploreModel<S, A>,
  identify: Identify<S>,
  known: KnownStates,
  number: number,
): ExplorePath<S, A> {
  const chain = [number];
  for (let at = number; known.parent(at) !== at; at = known.parent(at)) chain.unshift(known.parent(at));
  const print = new Fingerprint();
  const numberOf = (state: S) => {
    identify(state, print);
    return known.find(print.low, print.high);
  };
  const first = model.initial.findIndex((state) => numberOf(state) === chain[0]);
  if (first < 0) throw lost(0);
  const initial = model.initial[first] as S;
  const steps: { action: A; state: S }[] = [];
  let state = initial;
  for (let i = 1; i < chain.length; i++) {
    const found: { action: A; state: S }[] = [];
    model.steps(state, (action, next) => {
      if (found.length === 0 && numberOf(next) === chain[i]) found.push({ action, state: next });
    });
    const step = found[0];
    if (step === undefined) throw lost(i);
    steps.push(step);
    state = step.state;
  }
  return { initial, steps };
}

function lost(step: number): SimulationError {
  return new SimulationError(
    "ERR_SIMULATION_MODEL",
    `the way to a state cannot be walked again at step ${step}: steps() must always give the same steps for the same state, and change nothing`,
  );
}

export function traceText<S, A>(model: ExploreModel<S, A>, what: string, path: ExplorePath<S, A>): string {
  const showAction = (action: A) =>
    model.showAction?.(action) ?? (typeof action === "string" ? action : textOf(action));
  const showState = (state: S) => model.showState?.(state) ?? textOf(state);
  const count = path.steps.length;
  const lines = [
    `${what}, after ${count} ${count === 1 ? "step" : "steps"} (there is no shorter way):`,
    `     ${showState(path.initial)}`,
  ];
  for (const [index, { action, state }] of path.steps.entries()) {
    lines.push(`${String(index + 1).padStart(3)}. ${showAction(action)}`, `     ${showState(state)}`);
  }
  return lines.join("\n");
}
