// A simulated device: it sends a reading now and then, and starts again from its first value when it is told `reset`.

import { connect, sleep, spawn, type Task } from 'sluice';

const kinds = [
  { kind: 'thermometer', unit: '°C', first: 20, step: 0.3 },
  { kind: 'hygrometer', unit: '%', first: 45, step: 1 },
  { kind: 'barometer', unit: 'hPa', first: 1013, step: 0.5 },
  { kind: 'flow-meter', unit: 'l/s', first: 3, step: 0.1 },
] as const;

export function* simulateDevice(port: number, number: number): Task<void> {
  const { kind, unit, first, step } = kinds[number % kinds.length] ?? kinds[0];
  const { reader, writer } = yield* connect({ port });
  yield* writer.write(`hello ${kind}-${number} ${unit}\n`);
  let value: number = first;
  spawn(function* () {
    for (let line: string | undefined; (line = yield* reader.readLine(100)) !== undefined; )
      if (line === 'reset') {
        value = first;
        yield* writer.write(`${value}\n`);
      }
  });
  for (;;) {
    yield* sleep(300 + 1200 * Math.random());
    value += step * (2 * Math.random() - 1);
    yield* writer.write(`${value.toFixed(2)}\n`);
  }
}
