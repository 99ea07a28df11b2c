import type { CoreEvent, Effect } from "../core/types.js";

/**
 * What happens for each command. None of it brings forward when the core wants to be called (a leader's next beat, a follower's wait for its leader: both are
 * only put off), and it says nothing new of who leads, but by an effect that is not of every day.
 */
export function isEverydayEvent(event: CoreEvent): boolean {
  switch (event.type) {
    case "message": {
      const { type } = event.message;
      return type === "accept" || type === "ack" || type === "heartbeat";
    }
    case "persisted":
    case "propose":
    case "read":
      return true;
    default:
      return false;
  }
}

export function isEverydayEffect({ type }: Effect): boolean {
  return type === "persist" || type === "send" || type === "chosen" || type === "proposed" || type === "readable";
}
