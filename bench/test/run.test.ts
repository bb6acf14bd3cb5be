import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runScenarios, sideBySide } from '../run.js';
import type { Scenario, Step } from '../scenario.js';

/** A scenario that notes down what is run, in so many blocks of so many rounds. */
function noting(name: string, notes: string[], blocks: number, rounds: number): Scenario {
  const step = (label: string): Step => ({
    ...{ label, seconds: 0, table: 't', round: 1, peer: 'p' },
    async run() {
      notes.push(`${name} ${label}`);
      if (label === 'fails') throw new Error('it has failed');
    },
  });
  const count = (length: number) => Array.from({ length }, (_, i) => i + 1);
  return {
    ...{ name, title: name, text: '', wrk: false, tables: [] },
    settings: () => '',
    blocks: () =>
      count(blocks).map((block) => ({
        ready: [step(`ready ${block}`)],
        rounds: count(rounds).map((round) => [step(rounds === 1 ? 'fails' : `${block}.${round}`)]),
        over: [step(`over ${block}`)],
      })),
  };
}

test('rounds of blocks side by side are spread evenly among one another', () => {
  const block = (name: string, rounds: number) => ({
    ready: [`${name} ready`],
    rounds: Array.from({ length: rounds }, (_, i) => [`${name}${i + 1}`]),
    over: [`${name} over`],
  });
  assert.deepEqual(
    sideBySide([block('a', 4), block('b', 2)]),
    ['a ready', 'b ready', 'a1', 'b1', 'a2', 'a3', 'b2', 'a4', 'a over', 'b over'], //
  );
});

test('a quick run measures the scenarios of a party beside one another and first, block by block; a whole one has blocks of all take turns', async () => {
  const ran = async (quick: boolean): Promise<string[]> => {
    const notes: string[] = [];
    const scenarios = [noting('y', notes, 1, 2), noting('x', notes, 2, 2), noting('z', notes, 1, 2)];
    await runScenarios(scenarios, [], quick, [['z', 'x'], ['no such scenario']]);
    return notes;
  };
  const y = ['y ready 1', 'y 1.1', 'y 1.2', 'y over 1'];
  const firstBlock = ['z ready 1', 'x ready 1', 'z 1.1', 'x 1.1', 'z 1.2', 'x 1.2', 'z over 1', 'x over 1'];
  assert.deepEqual(await ran(true), [...firstBlock, 'x ready 2', 'x 2.1', 'x 2.2', 'x over 2', ...y]);
  const x = [1, 2].map((block) => [`x ready ${block}`, `x ${block}.1`, `x ${block}.2`, `x over ${block}`]);
  assert.deepEqual(await ran(false), [x[0], y, ['z ready 1', 'z 1.1', 'z 1.2', 'z over 1'], x[1]].flat());
});

test('it is told how long each scenario took, to get ready and to measure', async () => {
  const told: string[] = [];
  const spent = (scenario: string, seconds: number, measures: boolean) => {
    assert.ok(seconds >= 0 && seconds < 10);
    told.push(`${scenario} ${measures ? 'measured' : 'ready'}`);
  };
  await runScenarios([noting('x', [], 1, 2), noting('y', [], 1, 1)], [], true, [], undefined, spent);
  assert.deepEqual(told, [
    ...['x ready', 'x measured', 'x measured', 'x ready'],
    ...['y ready', 'y measured', 'y ready'],
  ]);
});

test('a step that throws is a problem of its peer, and the others run all the same', async () => {
  const notes: string[] = [];
  const samples = await runScenarios([noting('x', notes, 1, 1)], [], true);
  assert.deepEqual(notes, ['x ready 1', 'x fails', 'x over 1']);
  const booked = { scenario: 'x', table: 't', round: 1, peer: 'p', figures: {}, problems: ['it has failed'] };
  assert.deepEqual(samples, [booked]);
});
