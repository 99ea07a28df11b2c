const now = Promise.resolve();

/** Returns what calls all that it is given before the next microtask in that one: `queueMicrotask`, which makes a resource of each call, costs a group more than its step does. */
export function inOneMicrotask(): (call: () => void) => void {
  let calls: (() => void)[] = [];
  const run = () => {
    const all = calls;
    calls = [];
    for (const call of all) call();
  };
  return (call) => {
    if (calls.push(call) === 1) void now.then(run);
  };
}
