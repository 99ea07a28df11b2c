import { describe, expect, it } from "vitest";
import { decodeMessage } from "../src/core/codec.js";
import type { Message } from "../src/core/messages.js";
import { openEnvelope, wireGroupId } from "../src/host/envelope.js";
import { Outbox } from "../src/host/outbox.js";
import type { Transport } from "../src/transport/index.js";

function gathering() {
  const sent: { to: string; envelope: Uint8Array }[] = [];
  const outbox = new Outbox({
    send: (to, envelope) => void sent.push({ to, envelope }),
  } as Partial<Transport> as Transport);
  const read = (to: string) => {
    const messages: Message[] = [];
    for (const one of sent) {
      if (one.to === to)
        openEnvelope(one.envelope, (_, from, end) => messages.push(decodeMessage(one.envelope, { from, to: end })));
    }
    return messages;
  };
  return { outbox, sent, read };
}

const ballot = { round: 1, node: "a" };

function learn(slot: number, bytes: number): Message {
  return { type: "learn", entries: [{ slot, ballot, kind: "command", command: new Uint8Array(bytes).fill(slot) }] };
}

function outlined(message: Message) {
  if (message.type !== "learn") return message;
  return message.entries.map(({ slot, command }) => [slot, command.length, command[0], command.at(-1)]);
}

describe("what a node says in one turn", () => {
  it("reaches each peer whole and in order, however much it is, and what two are told alike too", () => {
    const { outbox, sent, read } = gathering();
    const group = wireGroupId("g");
    const told = Array.from({ length: 40 }, (_, i) => learn(i + 1, i % 5 === 0 ? 700_000 : 3000));
    for (const message of told) {
      outbox.put("b", group, message);
      outbox.put("c", group, message);
      outbox.put("d", wireGroupId("h"), { type: "departed", slot: 1 });
    }
    // Much of it has left before the turn is over, so that its bytes need not be held together.
    expect(sent.some(({ to }) => to === "d")).toBe(true);
    outbox.flush();
    expect(read("b").map(outlined)).toEqual(told.map(outlined));
    expect(read("c").map(outlined)).toEqual(told.map(outlined));
    expect(read("d")).toEqual(told.map(() => ({ type: "departed", slot: 1 })));
    expect(outbox.messagesSent).toBe(120);
  });
});
