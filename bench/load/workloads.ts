// What a load sends: the requests, in turn, as bytes, and the status that each must be answered with. load.lua reads them from a file.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { folder } from '../peers.js';

export interface Workload {
  name: string;
  requests: { text: string; status: number }[];
  /** The floor serves it. */
  onFloor: boolean;
}

function get(target: string, fields = '', status = 200): Workload['requests'][number] {
  return { text: `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n${fields}\r\n`, status };
}

function post(target: string, type: string, body: string): Workload['requests'][number] {
  const head = `POST ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n`;
  return { text: head + body, status: 200 };
}

/** What a browser's fetch() sends, besides the field that the routes read. */
const fields =
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) bench\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate, br\r\n' +
  'Accept-Language: en\r\nX-Client: bench\r\n';

const order = JSON.stringify({
  id: 17,
  lines: Array.from({ length: 28 }, (_, i) => ({ sku: `item-${1000 + i}`, count: i + 1 })),
});

export const workloads = {
  hello: { name: 'hello', requests: [get('/')], onFloor: true },
  mixed: {
    name: 'mixed',
    requests: [
      get('/small?page=7', fields),
      get('/medium?page=7', fields),
      get('/large?page=7', fields),
      get('/missing', fields, 404),
    ],
    onFloor: false,
  },
  'post-json': { name: 'post-json', requests: [post('/order', 'application/json', order)], onFloor: false },
  upload: {
    name: 'upload',
    requests: [post('/upload', 'application/octet-stream', 'x'.repeat(1024 * 1024))],
    onFloor: false,
  },
  download: { name: 'download', requests: [get('/download')], onFloor: false },
} satisfies Record<string, Workload>;

/** The share of a workload's answers whose status is an error on purpose. */
export function errorShare({ requests }: Workload): number {
  return requests.filter(({ status }) => status >= 400).length / requests.length;
}

/** Writes the requests of a workload where load.lua reads them. @returns the file */
export function requestFile({ name, requests }: Workload): string {
  const place = join(folder, 'build', 'requests');
  mkdirSync(place, { recursive: true });
  const file = join(place, name);
  writeFileSync(file, requests.map(({ text }) => `${text.length}\n${text}`).join(''), 'latin1');
  return file;
}
