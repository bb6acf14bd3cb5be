// A peer that is broken on purpose: every hundredth answer is a 500. It is measured only when `--peers` names it, to show that
// the bench tells.

import { createServer } from 'node:http';
import { hello, port } from './settings.js';

let answered = 0;

createServer((_request, response) => {
  const broken = ++answered % 100 === 0;
  response.writeHead(broken ? 500 : 200, { 'content-type': 'text/plain' });
  response.end(hello);
}).listen(port, '127.0.0.1');
