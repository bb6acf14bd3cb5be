import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { describe, it } from 'node:test';
import * as libcModule from '#sluice/event-layer/linux/libc.js';
import { check, describeErrno, failure, unavailable } from '#sluice/event-layer/linux/libc.js';
import { skip, system } from '../../support/linux.js';

describe('errors of the system', () => {
  it('are named, and explained, as Node does', { skip }, () => {
    assert.deepEqual(describeErrno(constants.errno.ECONNRESET), {
      code: 'ECONNRESET',
      meaning: 'connection reset by peer',
    });
    assert.deepEqual(describeErrno(constants.errno.EMFILE), { code: 'EMFILE', meaning: 'too many open files' });
  });

  it('that have no name are shown by their number', () => {
    assert.deepEqual(describeErrno(9999), { code: 'errno 9999', meaning: 'error number 9999' });
  });

  it('become errors that name the call and the code', { skip }, () => {
    const error = failure('socket', constants.errno.EMFILE);
    assert.equal(error.name, 'ConnectionError');
    assert.equal(error.code, 'EMFILE');
    assert.equal(error.message, 'socket EMFILE: too many open files');
  });

  it('are distinguished by the numbers that the system has for them', { skip }, () => {
    const exported: Record<string, unknown> = { ...libcModule };
    const numbers = Object.entries(exported).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
    assert.ok(numbers.length >= 10);
    for (const [name, value] of numbers) {
      if (name in constants.errno) assert.equal(value, constants.errno[name as keyof typeof constants.errno], name);
      else assert.equal(describeErrno(value).code, name);
    }
  });

  it('of a layer that is unavailable are ERR_EVENT_LAYER, with their cause', () => {
    const cause = new Error('why');
    const error = unavailable('it needs Linux', cause);
    assert.equal(error.code, 'ERR_EVENT_LAYER');
    assert.equal(error.message, 'it needs Linux');
    assert.equal(error.cause, cause);
    assert.ok(!('cause' in unavailable('it needs Linux')));
  });
});

describe('calls', { skip }, () => {
  const libc = system?.libc ?? assert.fail();

  it('that succeed give their result', () => {
    assert.equal(check(libc, 'close', 0), 0);
    assert.equal(check(libc, 'socket', 17), 17);
  });

  it('that fail leave their error', () => {
    assert.equal(libc.close(-1), -1);
    assert.equal(libc.errno(), constants.errno.EBADF);
    assert.throws(() => check(libc, 'close', libc.close(-1)), {
      code: 'EBADF',
      message: 'close EBADF: bad file descriptor',
    });
  });
});
