// A gateway: devices send readings in lines over TCP, and pages watch them over WebSockets. It starts with 12 simulated devices (DEVICES).
//
//   npm run --silent build && node build/examples/devices/main.js
//   nc localhost 7000
//
//   main.ts      the gateway: a thread for each device, none for each page but to listen
//   device.ts    simulated devices
//   page.html    the page

import { readFileSync } from 'node:fs';
import {
  type Connection,
  listen,
  run,
  serve,
  type Task,
  timeout,
  topic,
  type WebSocketConnection,
  webSocket,
} from 'sluice';
import { simulateDevice } from './device.js';

// This file runs from build/examples/devices; the page stays where it was written.
const html = readFileSync(new URL('../../../examples/devices/page.html', import.meta.url), 'utf8');

interface Reading {
  device: string;
  isOnline: boolean;
  /** Undefined as long as it has sent none. */
  value: number | undefined;
  unit: string;
  /** Milliseconds since the Unix epoch. */
  at: number;
}

/** The last reading of each device, for pages that come. */
const latest = new Map<string, Reading>();
const connections = new Map<string, Connection>();
// A page that is too slow for all readings gets the newest of each device.
const readings = topic<Reading>('readings', { policy: 'latest', key: ({ device }) => device, maxWaiting: 1000 });

function publish(reading: Reading): void {
  latest.set(reading.device, reading);
  readings.publish(reading);
}

/** A device that is silent for so many milliseconds is gone. */
const silence = 30_000;

/** A device: its first line is `hello NAME UNIT`, and each of the others a number. What a page asks for is sent to it as a line. */
function* serveDevice(connection: Connection): Task<void> {
  const { reader, writer } = connection;
  const [, device = '', unit = ''] = /^hello (\S{1,32}) (\S{1,8})$/.exec((yield* reader.readLine(100)) ?? '') ?? [];
  if (device === '') return yield* writer.write('expected: hello NAME UNIT\n');
  if (connections.has(device)) return yield* writer.write('this name is taken\n');
  connections.set(device, connection);
  const state = { device, unit, isOnline: true, value: latest.get(device)?.value };
  try {
    publish({ ...state, at: Date.now() });
    for (;;) {
      const line = yield* timeout(silence, reader.readLine(100));
      if (line === undefined) break;
      const value = Number(line);
      if (line.trim() === '' || !Number.isFinite(value)) yield* writer.write('expected a number\n');
      else {
        state.value = value;
        publish({ ...state, at: Date.now() });
      }
    }
  } finally {
    connections.delete(device); // whether it has left, was cut off, or is silent
    publish({ ...state, isOnline: false, at: Date.now() });
  }
}

/** A page: it gets the state of things and then each reading, and may send `reset NAME`. */
function* serveWatcher(socket: WebSocketConnection): Task<void> {
  socket.follow(readings);
  for (const reading of latest.values()) yield* socket.send(JSON.stringify(reading));
  for (let message: string | Uint8Array | undefined; (message = yield* socket.receive()) !== undefined; ) {
    const [, device = ''] = /^reset (\S+)$/.exec(String(message)) ?? [];
    const connection = connections.get(device);
    if (connection !== undefined && !connection.writer.flooded) yield* connection.writer.write('reset\n');
  }
}

const hostname = process.env.HOST ?? '127.0.0.1';
const gateway = await listen(
  {
    port: Number(process.env.DEVICE_PORT ?? 7000),
    hostname,
    keepAlive: silence,
    onError: (error) => console.error(`a device was disconnected: ${error}`), // it was silent, or sent a line without end
  },
  serveDevice,
);
const server = await serve({
  port: Number(process.env.PORT ?? 8080),
  hostname,
  fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/') return new Response(html, { headers: { 'content-type': 'text/html; charset=utf-8' } });
    if (pathname === '/watch') return webSocket(request, serveWatcher);
    return new Response('there is nothing here\n', { status: 404 });
  },
});

const leave = new AbortController();
for (let n = 1; n <= Number(process.env.DEVICES ?? 12); n++)
  run(() => simulateDevice(gateway.port ?? 0, n), { signal: leave.signal }).catch(() => {}); // the gateway has closed

function close(): void {
  leave.abort();
  gateway.close({ deadline: 500 });
  server.close({ deadline: 500 });
}
process.once('SIGINT', close);
process.once('SIGTERM', close);
console.log(`devices: ${server.url} (send readings to ${gateway.address})`);
