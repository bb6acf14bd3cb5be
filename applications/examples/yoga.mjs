// GraphQL Yoga: a query, a mutation, and a subscription over server-sent events.
//
//   node yoga.mjs
//   then open http://localhost:8080/graphql for GraphiQL, or
//   curl -N localhost:8080/graphql -H 'accept: text/event-stream' -H 'content-type: application/json' \
//     -d '{"query": "subscription { count(to: 3) }"}'

import { setTimeout as wait } from 'node:timers/promises';
import { createPubSub, createSchema, createYoga } from 'graphql-yoga';
import { serve } from 'sluice';

const notes = [];
const changes = createPubSub();

const yoga = createYoga({
  schema: createSchema({
    typeDefs: /* GraphQL */ `
      type Query {
        notes: [String!]!
      }
      type Mutation {
        add(text: String!): Int!
      }
      type Subscription {
        added: String!
        count(to: Int!): Int!
      }
    `,
    resolvers: {
      Query: { notes: () => notes },
      Mutation: {
        add(_parent, { text }) {
          notes.push(text);
          changes.publish('added', { added: text });
          return notes.length;
        },
      },
      Subscription: {
        added: { subscribe: () => changes.subscribe('added') },
        count: {
          async *subscribe(_parent, { to }) {
            for (let count = 1; count <= to; count++) {
              yield { count };
              await wait(100);
            }
          },
        },
      },
    },
  }),
});

const server = await serve({
  port: Number(process.env.PORT ?? 8080),
  hostname: process.env.HOST ?? '127.0.0.1',
  fetch: (request) => yoga.fetch(request),
});

for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, async () => {
    await server.close({ deadline: 1000 });
    process.exit(); // a timer of Yoga's, for pings, would keep the process running for some seconds
  });
console.log(`GraphQL Yoga: ${server.url}`);
