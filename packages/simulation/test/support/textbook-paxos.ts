import { type ExploreModel, Interner } from "../../src/index.js";

/** Larger means later; 0 is before all. */
type Ballot = number;
/** Which client's value; 0 for none. */
type Value = number;

interface Server {
  readonly ballot: Ballot;
  readonly proposal: Value;
  /** By server: undefined while it has not answered; else the ballot and value that it had accepted. */
  readonly prepared: readonly (readonly [Ballot, Value] | undefined)[];
  readonly acceptedBy: readonly boolean[];
  readonly accepted: readonly [Ballot, Value];
  readonly decided: boolean;
}

type Body =
  | { readonly type: "put" | "putOk" | "get" }
  | { readonly type: "getOk"; readonly value: Value }
  | { readonly type: "prepare" | "accepted"; readonly ballot: Ballot }
  | { readonly type: "prepared"; readonly ballot: Ballot; readonly last: readonly [Ballot, Value] }
  | { readonly type: "accept" | "decided"; readonly ballot: Ballot; readonly value: Value };

interface Letter {
  readonly from: number;
  readonly to: number;
  readonly body: Body;
}

interface Reaction {
  readonly server: number;
  readonly sent: readonly number[];
}

const SERVERS = 3;
const ballotOf = (round: number, server: number): Ballot => round * SERVERS + server;
const nothing: readonly [Ballot, Value] = [0, 0];

/**
 * Single-decree Paxos as it is taught: three servers, each client puts a value of its own at one server and then gets at the next. Messages are
 * neither lost nor doubled and come in any order; what would change nothing is left lying. With what each client could know of the others' finished operations
 * when it asked (which is what decides whether a history is linearizable) this is the state space that another checker's users know: 16,668 states for two clients,
 * 1,194,428 for three.
 *
 * A state: three servers, then the clients (numbers all), then the letters under way, sorted.
 */
export function textbookPaxos(clients: number): ExploreModel<readonly number[], string> {
  const servers = new Interner<Server>();
  const letters = new Interner<Letter>();
  const reactions = new Map<number, Reaction | undefined>();
  const post = (from: number, to: number, body: Body) => letters.number({ from, to, body });
  const headLength = SERVERS + clients;

  function react(id: number, state: Server, { from, body }: Letter): { state: Server; sent: number[] } | undefined {
    const peers = [0, 1, 2].filter((server) => server !== id);
    if (state.decided) {
      if (body.type !== "get") return undefined;
      return { state, sent: [post(id, from, { type: "getOk", value: state.accepted[1] })] };
    }
    switch (body.type) {
      case "put": {
        if (state.proposal !== 0) return undefined;
        const ballot = ballotOf(Math.floor(state.ballot / SERVERS) + 1, id);
        const prepared = [0, 1, 2].map((server) => (server === id ? state.accepted : undefined));
        const next = { ...state, ballot, proposal: from - SERVERS + 1, prepared, acceptedBy: [false, false, false] };
        return { state: next, sent: peers.map((peer) => post(id, peer, { type: "prepare", ballot })) };
      }
      case "prepare": {
        const { ballot } = body;
        if (state.ballot >= ballot) return undefined;
        const answer = post(id, from, { type: "prepared", ballot, last: state.accepted });
        return { state: { ...state, ballot }, sent: [answer] };
      }
      case "prepared": {
        const { ballot } = body;
        if (state.ballot !== ballot) return undefined;
        const prepared = state.prepared.map((last, server) => (server === from ? body.last : last));
        const answers = prepared.filter((last) => last !== undefined);
        if (answers.length !== 2) return { state: { ...state, prepared }, sent: [] };
        const [highest, held] = answers.reduce((best, last) => (last[0] > best[0] ? last : best), nothing);
        const value = highest > 0 ? held : state.proposal;
        const acceptedBy = state.acceptedBy.map((yes, server) => yes || server === id);
        const next: Server = { ...state, prepared, proposal: value, accepted: [ballot, value], acceptedBy };
        return { state: next, sent: peers.map((peer) => post(id, peer, { type: "accept", ballot, value })) };
      }
      case "accept": {
        const { ballot, value } = body;
        if (state.ballot > ballot) return undefined;
        const answer = post(id, from, { type: "accepted", ballot });
        return { state: { ...state, ballot, accepted: [ballot, value] }, sent: [answer] };
      }
      case "accepted": {
        if (state.ballot !== body.ballot) return undefined;
        const acceptedBy = state.acceptedBy.map((yes, server) => yes || server === from);
        if (acceptedBy.filter(Boolean).length !== 2) return { state: { ...state, acceptedBy }, sent: [] };
        const told = { type: "decided", ballot: body.ballot, value: state.proposal } as const;
        const sent = peers.map((peer) => post(id, peer, told));
        const client = SERVERS + state.proposal - 1;
        return { state: { ...state, acceptedBy, decided: true }, sent: [...sent, post(id, client, { type: "putOk" })] };
      }
      case "decided": {
        const { ballot, value } = body;
        return { state: { ...state, ballot, accepted: [ballot, value], decided: true }, sent: [] };
      }
      default:
        return undefined;
    }
  }

  function reaction(id: number, server: number, letter: number): Reaction | undefined {
    const key = (server * SERVERS + id) * 0x10000 + letter;
    if (reactions.has(key)) return reactions.get(key);
    const made = react(id, servers.value(server), letters.value(letter));
    const known = made && { server: servers.number(made.state), sent: made.sent };
    reactions.set(key, known);
    return known;
  }

  // A client is one number: operations finished; what it knew of the others' when it began to get (a digit each); the value it got.
  const doneOf = (client: number) => client % 3;
  const seenUnit = 3;
  const valueUnit = seenUnit * 3 ** clients;

  function steps(state: readonly number[], to: (action: string, next: readonly number[]) => void): void {
    for (let at = headLength; at < state.length; at++) {
      const letter = state[at] as number;
      const { from, to: receiver, body } = letters.value(letter);
      const next = state.slice();
      const sent: number[] = [];
      if (receiver < SERVERS) {
        const made = reaction(receiver, state[receiver] as number, letter);
        if (made === undefined) continue;
        next[receiver] = made.server;
        sent.push(...made.sent);
      } else {
        const client = state[receiver] as number;
        if (body.type === "putOk" && doneOf(client) === 0) {
          let seen = 0;
          for (let other = 0; other < clients; other++) {
            const done = SERVERS + other === receiver ? 0 : doneOf(state[SERVERS + other] as number);
            seen = seen * 3 + done;
          }
          next[receiver] = 1 + seen * seenUnit;
          sent.push(post(receiver, (receiver + 1) % SERVERS, { type: "get" }));
        } else if (body.type === "getOk" && doneOf(client) === 1) {
          next[receiver] = client + 1 + body.value * valueUnit;
        } else continue;
      }
      next.splice(at, 1);
      for (const more of sent) insert(next, more, headLength);
      to(`${name(from)} -> ${name(receiver)}: ${shown(body)}`, next);
    }
  }

  const start: Server = {
    ballot: 0,
    proposal: 0,
    prepared: [undefined, undefined, undefined],
    acceptedBy: [false, false, false],
    accepted: nothing,
    decided: false,
  };
  const initial = [0, 1, 2].map(() => servers.number(start));
  for (let client = 0; client < clients; client++) initial.push(0);
  for (let client = 0; client < clients; client++) {
    insert(initial, post(SERVERS + client, (SERVERS + client) % SERVERS, { type: "put" }), headLength);
  }

  return {
    initial: [initial],
    steps,
    encode: (state) => state,
    decode: (numbers) => numbers,
    invariants: {
      "one value is decided": (state) => {
        const decided = state.slice(0, SERVERS).map((server) => servers.value(server));
        return new Set(decided.filter((server) => server.decided).map((server) => server.accepted[1])).size <= 1;
      },
    },
    goals: {
      "a value is read": (state) =>
        state.slice(headLength).some((letter) => letters.value(letter).body.type === "getOk"),
    },
  };
}

function insert(state: number[], letter: number, from: number): void {
  let at = state.length;
  while (at > from && (state[at - 1] as number) > letter) at--;
  state.splice(at, 0, letter);
}

function name(actor: number): string {
  return actor < SERVERS ? `server ${actor}` : `client ${actor - SERVERS + 1}`;
}

function shown(body: Body): string {
  const { type, ...rest } = body;
  return `${type} ${Object.values(rest).join(" ")}`.trimEnd();
}
