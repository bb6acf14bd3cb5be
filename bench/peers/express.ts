// Express on node:http. With ON_SLUICE, its connections come from sluice (`sluice/node`). It serves `/` only.

import { createServer } from 'node:http';
import express from 'express';
import { hello, idleSeconds, port } from './shared.js';

const app = express();
app.get('/', (_request, response) => void response.type('text/plain').send(hello));

const options = { keepAliveTimeout: idleSeconds * 1000 };
const onSluice = process.env.ON_SLUICE === undefined ? undefined : await import('sluice/node');
const server = onSluice?.createServer(options, app) ?? createServer(options, app);
server.listen(port, '127.0.0.1');
