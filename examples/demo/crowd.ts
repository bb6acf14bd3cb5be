// The crowd: clients that open slow connections to the server. A browser allows itself six connections to a host, so the
// crowd runs in this process, over real sockets. Each client is a thread too: it connects, asks, and reads.

import { connect, currentThread, run, sleep, type Task } from 'sluice';
import { leave } from './departures.js';

/** What a client may ask for. `half` stops in the middle of its request. */
export const kinds = ['clock', 'download', 'report', 'news', 'half'] as const;
export type Kind = (typeof kinds)[number];

/** Each client is two descriptors of this process: its own and the server's. */
const mostClients = 2000;
/** A client that is flooded fills the kernel's buffers, which are megabytes: fewer of them show as much. */
const mostDownloads = 50;

interface Client {
  kind: Kind;
  leave: AbortController;
}

export class Crowd {
  readonly #server: { hostname: string; port: number };
  readonly #clients = new Map<string, Client>();
  #last = 0;
  #closed = false;

  /** @param url where the server is */
  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#server = { hostname: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port || 80) };
  }

  get size(): number {
    return this.#clients.size;
  }

  /** @returns how many have been opened: fewer than asked for when the crowd is large enough */
  open(kind: Kind, count: number): number {
    const ofKind = [...this.#clients.values()].filter((client) => client.kind === kind).length;
    const room = kind === 'download' ? mostDownloads - ofKind : mostClients - this.size;
    const opened = this.#closed ? 0 : Math.max(0, Math.min(count, room, mostClients - this.size));
    for (let i = 0; i < opened; i++) this.#enter(kind);
    return opened;
  }

  /** One leaves: its connection is reset, as when a browser's tab is closed. */
  leave(visitor: string): void {
    const client = this.#clients.get(visitor);
    if (client === undefined) return;
    this.#clients.delete(visitor);
    client.leave.abort();
  }

  /** All of a kind leave, or all: one after the other, a few at a time, so that the times are those of one that leaves. */
  *leaveAll(kind?: Kind): Task<void> {
    const visitors = [...this.#clients].filter(([, client]) => kind === undefined || client.kind === kind);
    for (const [index, [visitor]] of visitors.entries()) {
      this.leave(visitor);
      if (index % 4 === 3) yield* sleep(4);
    }
  }

  /** All disconnect at once, and no others connect. */
  close(): void {
    this.#closed = true;
    for (const visitor of this.#clients.keys()) this.leave(visitor);
  }

  /** A first crowd, one by one, so that one can see them come. */
  *gather(wanted: Record<Kind, number>): Task<void> {
    for (const kind of kinds) {
      for (let i = 0; i < wanted[kind]; i++) {
        this.open(kind, 1);
        yield* sleep(25);
      }
    }
  }

  /** Every now and then one of them leaves, and another one of its kind comes. */
  *comeAndGo(paused: () => boolean): Task<void> {
    for (;;) {
      yield* sleep(2500);
      const visitors = [...this.#clients.keys()];
      const visitor = visitors[Math.floor(Math.random() * visitors.length)];
      const kind = this.#clients.get(visitor)?.kind;
      if (paused() || kind === undefined) continue;
      this.leave(visitor);
      yield* sleep(500);
      this.open(kind, 1);
    }
  }

  #enter(kind: Kind): void {
    const visitor = String(++this.#last);
    const client = { kind, leave: new AbortController() };
    this.#clients.set(visitor, client);
    run(() => visit(this.#server, kind, visitor), { name: `visitor ${visitor}`, signal: client.leave.signal })
      .catch(() => {}) // it has left, or the server has closed its connection
      .finally(() => this.#clients.delete(visitor));
  }
}

function* visit(server: { hostname: string; port: number }, kind: Kind, visitor: string): Task<void> {
  const { reader, writer } = yield* connect(server);
  const request = `GET /${kind}?visitor=${visitor} HTTP/1.1\r\nhost: localhost\r\n`;
  try {
    yield* writer.write(request);
    if (kind !== 'half') yield* writer.write('\r\n');
    for (;;) {
      if (kind === 'download') yield* sleep(60_000); // a client that does not read
      if ((yield* reader.read()) === undefined) return;
      if (kind === 'report' || kind === 'news') yield* writer.write(`${request}\r\n`); // answered: it asks again
    }
  } finally {
    // Unwound in the middle, the connection is reset when this thread is over: now.
    if (currentThread()?.unwound && kind !== 'half') leave(visitor, 'client');
  }
}
