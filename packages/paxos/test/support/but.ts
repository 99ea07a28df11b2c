/** The same, but for what is given. */
export const but = <T extends object>(one: T, changes: Partial<T>): T =>
  new Proxy(one, {
    get(target, key) {
      if (key in changes) return changes[key as keyof T];
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
