// A server that is broken on purpose: it answers every hundredth request with 500, so that the bench can be seen to notice.

import { createServer } from 'node:http';
import { hello, port } from './shared.js';

let requests = 0;
createServer((_request, response) => {
  if (++requests % 100 === 0) response.statusCode = 500;
  response.end(hello);
}).listen(port, '127.0.0.1');
