import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chooseEventLayer } from '#sluice/event-layer/choose.js';

describe('the choice of an event layer', () => {
  it('is the best there is, where nothing is forced', () => {
    const onLinux = process.platform === 'linux' && process.arch === 'x64' && process.versions.bun === undefined;
    const best = onLinux && process.versions.deno === undefined ? /^(uring|epoll)$/ : /^portable$/;
    const { SLUICE_EVENT_LAYER } = process.env;
    delete process.env.SLUICE_EVENT_LAYER;
    assert.match(chooseEventLayer(undefined).name, best);
    assert.match(chooseEventLayer('').name, best);
    if (SLUICE_EVENT_LAYER !== undefined) process.env.SLUICE_EVENT_LAYER = SLUICE_EVENT_LAYER;
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
