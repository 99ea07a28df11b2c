import { expect, it } from "vitest";
import { checkLinearizable, explore, forEachSeed, History, registerModel, World } from "../src/index.js";

const refusal = (message: RegExp): Error =>
  expect.objectContaining({ code: "ERR_SIMULATION_ARGUMENT", message: expect.stringMatching(message) }) as Error;

it("names an option that there is not: a fault that never happens would prove nothing", () => {
  const world = new World({ seed: 1 });
  const history = new History({ now: () => 0 });
  const model = { initial: [0], steps: () => {} };
  const calls: readonly (readonly [RegExp, () => unknown])[] = [
    [/^an option of World must be seed, got "seeds"/, () => new World({ seeds: 1 } as never)],
    [/^an option of setFaults must be lossChance, got "loss"/, () => world.network.setFaults({ loss: 0.5 } as never)],
    [
      /^an option of setFaults must be syncMs or syncFailChance/,
      () => world.disk("a").setFaults({ syncFail: 1 } as never),
    ],
    [/^an option of setFaults must be .* or /, () => world.disk("a").setFaults({ broken: 1 } as never)],
    [/^an option of run must be untilMs or until, got "untilSeconds"/, () => world.run({ untilSeconds: 5 } as never)],
    [/^an option of checkLinearizable/, () => checkLinearizable(history, registerModel(0), { by: 5 } as never)],
    [/^an option of explore must be statesMax/, () => explore(model, { states: 5 } as never)],
    [/^an option of forEachSeed must be count/, () => forEachSeed({ counts: 5 } as never, () => {})],
    [/^an option of History/, () => new History({ clock: () => 0 } as never)],
    [
      /^an option of append must be sizeBytes/,
      () =>
        world
          .disk("a")
          .journal("j")
          .append(1, () => {}, { size: 5 } as never),
    ],
  ];
  for (const [message, call] of calls) expect(call).toThrow(refusal(message));
});

it("names what is missing, and what is no options object", () => {
  const none = undefined as never;
  const calls: readonly (readonly [RegExp, () => unknown])[] = [
    [/^seed must be/, () => new World(none)],
    [/^seed must be/, () => new World({ seed: {} as never })],
    [/^options must be/, () => new World(5 as never)],
    [/^now must be/, () => new History(none)],
    [/^action must be/, () => new World({ seed: 1 }).timer(5, none)],
    [/^name must be/, () => new World({ seed: 1 }).node(none)],
    [/^count must be/, () => forEachSeed(none, () => {})],
    [/^history must be/, () => checkLinearizable(none, registerModel(0))],
    [/^model.initial must be/, () => explore(none)],
    [/^stepsMax must be/, () => checkLinearizable([], registerModel(0), { stepsMax: null } as never)],
  ];
  for (const [message, call] of calls) expect(call).toThrow(refusal(message));
});
