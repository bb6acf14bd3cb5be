// A source of tokens, in place of a language model: a service that answers `POST /generate` with a line of JSON for each token, at its own pace, and
// stops at once when its client disconnects. `GET /counts` says how many answers are in the making, have been completed, and have been cancelled.

import { type Server, serve, sleep, stream } from 'sluice';

const pace = 40;

const counts = { running: 0, completed: 0, cancelled: 0 };

const sentences = [
  'A thread stands for each answer.',
  'It waits for the next token, and takes a few hundred bytes while it does.',
  'When you press stop, or close this page, the browser closes its connection.',
  'The server unwinds the thread that relays the tokens, and its finally block aborts the request to the source.',
  'So the source learns of it in the same moment, and makes no token that is not read.',
  'When the connection breaks instead, the browser connects again and names the last token that it has had.',
  'The relay asks the source to go on from there.',
];

/** The tokens of an answer: the same for the same question. */
function tokensFor(prompt: string): string[] {
  const text = `You asked: “${prompt}” ${sentences.join(' ')}`;
  return text.match(/\s*\S{1,6}/g) ?? [];
}

function generate(prompt: string, from: number): Response {
  return stream(
    function* (out) {
      counts.running++;
      let isComplete = false;
      try {
        for (const token of tokensFor(prompt).slice(from)) {
          yield* sleep(pace * (0.5 + Math.random()));
          yield* out.write(`${JSON.stringify(token)}\n`);
        }
        isComplete = true;
      } finally {
        counts.running--;
        if (isComplete) counts.completed++;
        else counts.cancelled++;
      }
    },
    { headers: { 'content-type': 'application/jsonl' } },
  );
}

/** Starts the service on a port of this machine that is free. */
export function startSource(): Promise<Server> {
  return serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      if (request.method !== 'POST') return Response.json(counts);
      const { prompt, from } = Object(await request.json());
      return generate(String(prompt), Number(from));
    },
  });
}
