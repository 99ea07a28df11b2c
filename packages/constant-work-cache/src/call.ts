/** What a source is given with its keys, and the way to end its call. */
export interface Call {
  readonly context: { readonly signal: AbortSignal };
  abort(reason: unknown): void;
}

/** Most sources never look at the signal, and making one costs as much as all the rest of a call: so it is made when it is looked at. */
export function newCall(): Call {
  let controller: AbortController | undefined;
  const made = (): AbortController => {
    controller ??= new AbortController();
    return controller;
  };
  return {
    context: {
      get signal() {
        return made().signal;
      },
    },
    abort: (reason) => made().abort(reason),
  };
}
