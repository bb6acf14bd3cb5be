// The clients of the library itself: connect and connectWebSocket. Arguments: the port, the file of the authority, and the version of TLS.
import { connect, connectWebSocket, run } from '../../dist/index.js';

const [, , port, ca, version] = process.argv;
const tls = { ca, minVersion: version, maxVersion: version };

function assert(condition, found) {
  if (!condition) throw new Error(`found ${JSON.stringify(found)}`);
}

await run(function* () {
  const connection = yield* connect({ hostname: 'localhost', port: Number(port), tls });
  assert(connection.tls.protocol === version && connection.tls.isAuthorized, connection.tls);
  yield* connection.writer.write('GET /mebibyte HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
  const answer = yield* connection.reader.readAll(2 ** 21);
  assert(answer.length > 2 ** 20, answer.length);
  console.log('feature connect');
  const socket = yield* connectWebSocket(`wss://localhost:${port}/echo`, { tls });
  yield* socket.send('hello');
  const heard = yield* socket.receive();
  assert(heard === 'hello', heard);
  yield* socket.send(new Uint8Array(2 ** 20));
  const large = yield* socket.receive();
  assert(large.length === 2 ** 20, large.length);
  socket.close();
  assert((yield* socket.receive()) === undefined);
  console.log('feature connectWebSocket');
});
process.exit(0);
