// A JSON API on node:sqlite, without a framework. Needs Node 22.13, which has node:sqlite without a flag.
//
//   node sqlite.mjs notes.db
//   curl localhost:8080/notes -d '{"text": "buy milk"}'
//   curl localhost:8080/notes/1
//   curl -X DELETE localhost:8080/notes/1

import { DatabaseSync } from 'node:sqlite';
import { serve } from 'sluice';

const database = new DatabaseSync(process.argv[2] ?? ':memory:');
database.exec('CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT');
const all = database.prepare('SELECT id, text FROM notes ORDER BY id');
const one = database.prepare('SELECT id, text FROM notes WHERE id = ?');
const insert = database.prepare('INSERT INTO notes (text) VALUES (?) RETURNING id, text');
const remove = database.prepare('DELETE FROM notes WHERE id = ?');

const failure = (status, error) => Response.json({ error }, { status });

async function add(request) {
  const note = await request.json().catch(() => undefined);
  if (typeof note?.text !== 'string') return failure(400, 'expected {"text": string}');
  return Response.json(insert.get(note.text), { status: 201 });
}

function handle(request) {
  const [, collection, id, ...more] = new URL(request.url).pathname.split('/');
  if (collection !== 'notes' || more.length > 0) return failure(404, 'no such path');
  if (id === undefined) {
    if (request.method === 'GET') return Response.json(all.all());
    if (request.method === 'POST') return add(request);
  } else if (request.method === 'GET') {
    const note = one.get(id);
    return note === undefined ? failure(404, 'no such note') : Response.json(note);
  } else if (request.method === 'DELETE') {
    return remove.run(id).changes === 0 ? failure(404, 'no such note') : new Response(null, { status: 204 });
  }
  return failure(405, `${request.method} is not allowed here`);
}

const server = await serve({
  port: Number(process.env.PORT ?? 8080),
  hostname: process.env.HOST ?? '127.0.0.1',
  fetch: handle,
});

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close({ deadline: 1000 }));
console.log(`sqlite: ${server.url}`);
