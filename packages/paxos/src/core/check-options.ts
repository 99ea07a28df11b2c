import { badArgument } from "./errors.js";

/**
 * The options as they are: none where nothing was given, so that what is needed is asked for by its name. A name that there is not would be a typo that is taken
 * for a default, and so would null. `names` has all of them, and its type sees to that.
 */
export function checkOptions<T extends object>(of: string, options: T, names: Readonly<Record<keyof T, unknown>>): T {
  const given: unknown = options === undefined ? {} : options;
  if (typeof given !== "object" || given === null)
    throw badArgument("options", `an object with options of ${of}`, given);
  // Also what is inherited: so a signal given in the place of { signal } is found out.
  for (const name in given) {
    if (!Object.hasOwn(names, name)) {
      const known = Object.keys(names);
      const near = known.filter((one) => one.slice(0, 3) === name.slice(0, 3));
      throw badArgument(`an option of ${of}`, (near.length > 0 ? near : known).join(" or "), name);
    }
    if (given[name as keyof typeof given] === null)
      throw badArgument(name, "left out, or something else than null", null);
  }
  return given as T;
}
