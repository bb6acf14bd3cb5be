// What people do with HTTPS in Node, Bun and Deno. Arguments: the port, the file of the authority, and the version of TLS that is to be used.
// Prints a line for each feature; ends with 1 if one fails.
import { readFileSync } from 'node:fs';
import https from 'node:https';

const [, , port, caFile, version] = process.argv;
const ca = readFileSync(caFile, 'utf8');
const host = `localhost:${port}`;
const sum = '1048576 bytes, sum 23280\n';

function assert(condition, found) {
  if (!condition) throw new Error(`found ${JSON.stringify(found)}`);
}

function request(path, { agent, method = 'GET', body } = {}) {
  const versions = { minVersion: version, maxVersion: version };
  return new Promise((resolve, reject) => {
    const outgoing = https.request(`https://${host}${path}`, { ca, agent, method, ...versions }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece) => {
        text += piece;
      });
      response.on('end', () => resolve(text)).on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

const body = 'a'.repeat(2 ** 20);
const features = {
  async https() {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    const first = JSON.parse(await request('/', { agent }));
    assert(first.protocol === version, first);
    const posted = await request('/length', { agent, method: 'POST', body });
    assert(posted === sum, posted);
    const large = await request('/mebibyte', { agent });
    assert(large === body, large.length);
    const streamed = await request('/stream', { agent });
    assert(streamed === 'one two three\n', streamed);
    const again = JSON.parse(await request('/', { agent }));
    assert(again.peer === first.peer, [first, again]); // one connection
    agent.destroy();
  },
  async fetch() {
    const first = await (await fetch(`https://${host}/`)).json();
    assert(first.protocol === version, first);
    const posted = await (await fetch(`https://${host}/length`, { method: 'POST', body })).text();
    assert(posted === sum, posted);
    const large = await (await fetch(`https://${host}/mebibyte`)).text();
    assert(large === body, large.length);
    const streamed = await (await fetch(`https://${host}/stream`)).text();
    assert(streamed === 'one two three\n', streamed);
    const again = await (await fetch(`https://${host}/`)).json();
    assert(again.peer === first.peer, [first, again]);
  },
  WebSocket: () =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(`wss://${host}/echo`);
      socket.onopen = () => socket.send('hello');
      socket.onerror = () => reject(new Error('the WebSocket fails'));
      socket.onmessage = ({ data }) => {
        socket.close();
        if (data === 'hello') resolve();
        else reject(new Error(`heard ${data}`));
      };
    }),
  EventSource: () =>
    new Promise((resolve, reject) => {
      const source = new EventSource(`https://${host}/events`);
      const heard = [];
      source.onerror = (event) => reject(new Error(`the event stream fails: ${event.message}`));
      source.onmessage = ({ data }) => {
        if (heard.push(data) < 3) return;
        source.close();
        if (heard.join() === 'event 1,event 2,event 3') resolve();
        else reject(new Error(`heard ${heard}`));
      };
    }),
};
// Where there is no global fetch option for the version, only node:https can be asked for TLS 1.2.
const onlyHttps = version === 'TLSv1.2' && !process.execArgv.includes('--tls-max-v1.2');
const wanted = onlyHttps
  ? ['https']
  : ['https', 'fetch', 'WebSocket', 'EventSource'].filter((name) => name === 'https' || name in globalThis);
for (const name of wanted) {
  try {
    await features[name]();
    console.log(`feature ${name}`);
  } catch (error) {
    console.error(`${name}: ${error.stack} ${error.cause ?? ''}`);
    process.exit(1);
  }
}
process.exit(0);
