/** One turn of Node's event loop: every promise reaction that is due has run when it resolves. For `World.runAsync`. */
export function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
