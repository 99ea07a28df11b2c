/** Of a number below 2^48 in base 36. */
const partLength = 10;

/**
 * The marks under which logs are born (see `Births`) in one life of a node: what is drawn by lot is drawn once, and each log adds its number, so that no two are ever
 * the same, and thousands of sleeping groups need not keep twenty letters of each other's.
 */
export class BirthMarks {
  readonly #life: string;
  #count = 0;

  constructor(random: () => number) {
    const part = () =>
      Math.floor(random() * 2 ** 48)
        .toString(36)
        .padStart(partLength, "0");
    this.#life = part() + part();
  }

  next(): string {
    return `${this.#life}.${(this.#count++).toString(36)}`;
  }
}
