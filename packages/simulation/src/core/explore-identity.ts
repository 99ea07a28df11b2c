import type { ExploreModel } from "./explore-model.js";
import type { Fingerprint } from "./fingerprint.js";
import { textOf } from "./text.js";

/** Takes the fingerprint of a state's orbit: of its canonical form, or of the least among its renamings. */
export function identity<S, A>(model: ExploreModel<S, A>): (state: S, into: Fingerprint) => void {
  const { encode, symmetries } = model;
  if (model.canonical !== undefined) {
    if (encode === undefined) return (state, into) => into.ofText(textOf(model.canonical?.(state)));
    return (state, into) => into.ofNumbers(encode.call(model, (model.canonical as (state: S) => S)(state)));
  }
  if (encode !== undefined) {
    if (symmetries === undefined) return (state, into) => into.ofNumbers(encode.call(model, state));
    return (state, into) => {
      let least = encode.call(model, state);
      for (const rename of symmetries) {
        const other = encode.call(model, rename(state));
        if (isLess(other, least)) least = other;
      }
      into.ofNumbers(least);
    };
  }
  if (symmetries === undefined) return (state, into) => into.ofText(textOf(state));
  return (state, into) => {
    let least = textOf(state);
    for (const rename of symmetries) {
      const other = textOf(rename(state));
      if (other < least) least = other;
    }
    into.ofText(least);
  };
}

function isLess(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return a.length < b.length;
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return (a[i] as number) < (b[i] as number);
  }
  return false;
}
