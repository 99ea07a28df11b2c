/** Others on this event loop have their turn first. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
