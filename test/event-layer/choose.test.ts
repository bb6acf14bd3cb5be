import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chooseEventLayer } from '#sluice/event-layer/choose.js';

describe('the choice of an event layer', () => {
  it('is the best there is, where nothing is forced', () => {
    assert.equal(chooseEventLayer(undefined).name, 'portable');
    assert.equal(chooseEventLayer('').name, 'portable');
  });

  it('is the one that is forced', () => {
    assert.equal(chooseEventLayer('portable').name, 'portable');
  });

  it('fails for one that there is not, and says what there is', () => {
    assert.throws(() => chooseEventLayer('kqueue'), {
      name: 'ConnectionError',
      code: 'ERR_EVENT_LAYER',
      message: /SLUICE_EVENT_LAYER.*"kqueue".*portable/,
    });
  });
});
