import { change, contradictions } from "./rival-changes.js";
import { TableTop } from "./table-top.js";

/**
 * d1 is about to be taken out: p1 and x1 hold the entry that says so, a1 leads and has had b1 accept it, and it is not chosen. x1 promises d1, who has not heard of that entry,
 * and forgets it. All whom the logs of those that run still name answer x1, and then p1 helps to elect d1. Returns the slots that came out twice.
 */
export function forgottenPromise(): readonly number[] {
  const [a, b, d, p, x] = ["a1", "b1", "d1", "p1", "x1"] as const;
  const table = new TableTop([a, b, d, p, x]);
  const votes = ["preVote", "preVoteReply", "prepare", "promised"];
  const stand = (node: string) => {
    table.nowMs += 1000;
    for (let i = 0; i < 200 && !table.core(node).leading; i++) table.advance(20, [node]);
    if (!table.core(node).leading) throw new Error(`${node} does not lead`);
  };
  table.elect(p);
  table.advance(200, [p]);
  // d1 leads with the votes of a1 and b1, and nobody hears more of it.
  table.passes = ({ from, to, message }) =>
    [from, to].every((node) => [a, b, d].some((one) => one === node)) && votes.includes(message.type);
  stand(d);
  table.passes = ({ from, to }) => [from, to].every((node) => node === p || node === x);
  change(table, p, [a, b, p, x]);
  // a1 adopts that from p1, which hears no more, and b1 accepts it.
  table.passes = ({ from, to, message }) =>
    [from, to].every((node) => [a, b, p].some((one) => one === node)) && (to !== p || votes.includes(message.type));
  stand(a);
  // d1 stands again. What it says to p1 is on its way for a long time.
  table.step(d, { type: "resign", nowMs: table.nowMs });
  table.nowMs += 1000;
  table.passes = ({ to, message }) => votes.includes(message.type) && (message.type !== "prepare" || to === x);
  const { promised } = table.disk(x);
  for (let i = 0; i < 200 && table.disk(x).promised.node !== d; i++) table.advance(20, [d]);
  const late = table.sent.findLast(({ to, message }) => to === p && message.type === "prepare")?.message;
  if (table.disk(x).promised.node !== d || late?.type !== "prepare") throw new Error("nothing was promised");
  table.disk(x).promised = promised;
  table.start(x, undefined, { doubtful: true });
  table.passes = ({ from, to, message }) =>
    from !== d && to !== d && (message.type === "doubt" || message.type === "standing");
  table.advance(500, [x]);
  // What a1 has to say reaches x1 alone.
  table.passes = ({ from, to }) => [from, to].every((node) => node === a || node === x);
  table.advance(300, [a]);
  table.passes = ({ from, to }) => [from, to].every((node) => [b, d, p].some((one) => one === node));
  table.step(p, { type: "message", from: d, message: late, nowMs: table.nowMs });
  table.advance(300, [d]);
  return contradictions(table);
}
