// Starts the process with the servers.
import { fork } from 'node:child_process';
import { once } from 'node:events';

/** @param layer uring, epoll or portable @param folder with the certificates */
export async function startServers(layer, folder) {
  const child = fork(new URL('server.mjs', import.meta.url), [folder], {
    env: { ...process.env, SLUICE_EVENT_LAYER: layer },
    execArgv: ['--expose-gc'],
  });
  const ended = once(child, 'exit');
  const answers = new Map();
  const ready = new Promise((resolve, reject) => {
    child.on('message', (message) => {
      if (message.ports !== undefined) resolve(message);
      else answers.get(message.id)?.(message.answer);
      answers.delete(message.id);
    });
    child.once('exit', (code, signal) => reject(new Error(`the servers have ended with ${signal ?? code}`)));
  });
  const { ports, eventLayer } = await ready;
  let lastId = 0;
  return {
    ports,
    eventLayer,
    pid: child.pid,
    /** Resolves when the process has ended, to its code and signal. */
    ended,
    ask(question, about) {
      return new Promise((resolve, reject) => {
        const id = ++lastId;
        answers.set(id, resolve);
        child.send({ id, question, about }, (error) => error && reject(error));
      });
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      return await ended;
    },
  };
}
