import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { masqueradeAs } from '#sluice/http/fetch/platform.js';

const INTERNAL = Symbol('internal');

/** A platform's class of some later version, which has members that the light one does not know. */
class Heavy {
  readonly #name: string;
  constructor(name: string) {
    this.#name = name;
  }
  get name() {
    return this.#name;
  }
  get later() {
    return `later ${this.#name}`;
  }
  act(what: string) {
    return `${what} ${this.#name}`;
  }
  get [INTERNAL]() {
    return this.#name;
  }
}

class Light {
  readonly asked: boolean[] = [];
  get name() {
    return 'light';
  }
}
masqueradeAs(Light, Heavy, (self, consume) => {
  (self as Light).asked.push(consume);
  return new Heavy('twin');
});

describe('a light class that passes for the platform’s', () => {
  const light = new Light();

  test('answers what it knows itself', () => {
    assert.equal(light.name, 'light');
    assert.deepEqual(light.asked, []);
  });

  test('asks its twin for what only the platform knows, and says whether the body goes along', () => {
    assert.equal(Reflect.get(light, 'later'), 'later twin');
    assert.equal(Reflect.apply(Reflect.get(light, 'act'), light, ['do']), 'do twin');
    assert.deepEqual(light.asked, [false, true]);
  });

  test('has none of the platform’s internal slots', () => {
    assert.equal(Reflect.get(light, INTERNAL), undefined);
  });

  test('is an instance of the platform’s class, whose instances are its own; a subclass keeps to itself', () => {
    class Own extends Light {}
    assert.ok(light instanceof Heavy);
    assert.ok(new Heavy('a') instanceof Light);
    assert.ok(new Own() instanceof Light && new Own() instanceof Heavy);
    assert.ok(!(light instanceof Own) && !(new Heavy('a') instanceof Own));
    for (const other of [null, undefined, 1, 'a', {}]) assert.ok(!((other as object) instanceof Light));
  });
});
