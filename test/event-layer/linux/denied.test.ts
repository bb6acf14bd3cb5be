// System calls that are denied, as containers do it (seccomp(2)): some of a layer's, and not others. The library of C functions is
// replaced in part. The first tests are about what a process makes once, so they must stay the first.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { diagnose } from '#sluice/cli/doctor.js';
import { chooseEventLayer, examineEventLayers } from '#sluice/event-layer/choose.js';
import { EpollLayer } from '#sluice/event-layer/epoll/epoll.js';
import type { Libc } from '#sluice/event-layer/linux/libc.js';
import { UringLayer } from '#sluice/event-layer/uring/uring.js';
import { serve } from '#sluice/index.js';
import { realTime } from '../../contract/contract.js';
import { Harness } from '../../contract/harness.js';
import { skip, system } from '../../support/linux.js';

type Call = Exclude<keyof Libc, 'view' | 'errno'>;
const EPERM = 1;
const ENOSPC = 28;

/** Has calls fail for which `isDenied` is true, given the arguments. */
function deny(
  context: TestContext,
  name: Call,
  isDenied: (...values: (number | Uint8Array | null)[]) => boolean = () => true,
  errno = EPERM,
): void {
  const libc = system?.libc ?? assert.fail();
  const real = libc[name] as (...values: (number | Uint8Array | null)[]) => number;
  const realErrno = libc.errno;
  let failed = false;
  context.mock.method(libc, name, (...values: (number | Uint8Array | null)[]) => {
    failed = isDenied(...values);
    return failed ? -1 : real(...values);
  });
  // It is asked for once, right after the call that has failed.
  context.mock.method(libc, 'errno', () => {
    const wasDenied = failed;
    failed = false;
    return wasDenied ? errno : realErrno();
  });
}

/** Which layer is chosen, and what the others say of themselves. */
async function chosen(): Promise<{ name: string; reasons: Record<string, string | undefined> }> {
  const { SLUICE_EVENT_LAYER } = process.env;
  delete process.env.SLUICE_EVENT_LAYER;
  try {
    const layer = chooseEventLayer(undefined);
    await layer.close();
    const reports = await examineEventLayers();
    const works = reports.find(({ reason }) => reason === undefined);
    assert.equal(works?.name, layer.name);
    assert.match(await diagnose(), new RegExp(`Servers run on ${layer.name} `));
    return { name: layer.name, reasons: Object.fromEntries(reports.map(({ name, reason }) => [name, reason])) };
  } finally {
    if (SLUICE_EVENT_LAYER !== undefined) process.env.SLUICE_EVENT_LAYER = SLUICE_EVENT_LAYER;
  }
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

describe('a system call is denied while an event layer is made: the next layer is taken, and doctor says why', {
  skip,
}, () => {
  const ofAll: [Call, RegExp][] = [
    ['mmap', /mmap EPERM/],
    ['timerfd_create', /timerfd_create EPERM/],
    ['timerfd_settime', /timerfd_settime EPERM/],
  ];
  for (const [call, reason] of ofAll)
    it(`${call}: portable`, async (context) => {
      deny(context, call);
      const before = openDescriptors();
      const { name, reasons } = await chosen();
      assert.equal(name, 'portable');
      assert.match(reasons.uring ?? '', reason);
      assert.match(reasons.epoll ?? '', reason);
      assert.equal(openDescriptors(), before);
    });

  const REGISTER_PBUF_RING = 22;
  const ofUring: [string, Call, ((...values: unknown[]) => boolean) | undefined, RegExp][] = [
    ['io_uring_setup', 'io_uring_setup', undefined, /io_uring is forbidden here/],
    ['io_uring_enter', 'io_uring_enter', undefined, /io_uring_enter EPERM/],
    ['io_uring_register', 'io_uring_register', undefined, /IORING_REGISTER_PBUF_RING EPERM/],
    ['registering buffers', 'io_uring_register', (_, __, what) => what === REGISTER_PBUF_RING, /PBUF_RING EPERM/],
    ['mapping the queues', 'mmap', (_, __, ___, ____, descriptor) => descriptor !== -1, /cannot be mapped.*EPERM/],
  ];
  for (const [what, call, isDenied, reason] of ofUring)
    it(`${what}: epoll`, async (context) => {
      await new EpollLayer().close(); // what a process makes once is there
      const before = openDescriptors();
      deny(context, call, isDenied);
      const { name, reasons } = await chosen();
      assert.equal(name, 'epoll');
      assert.match(reasons.uring ?? '', reason);
      assert.equal(openDescriptors(), before);
    });

  for (const call of ['epoll_create1', 'epoll_ctl', 'epoll_wait'] as const)
    it(`${call}, and io_uring: portable`, async (context) => {
      deny(context, 'io_uring_setup');
      deny(context, call);
      const before = openDescriptors();
      const { name, reasons } = await chosen();
      assert.equal(name, 'portable');
      assert.match(reasons.epoll ?? '', new RegExp(`${call} EPERM`));
      assert.equal(openDescriptors(), before);
    });

  const REGISTER_RING_FDS = 20;
  const REGISTER_FILES2 = 13;
  const REGISTER_PROBE = 8;
  for (const operation of [REGISTER_RING_FDS, REGISTER_FILES2, REGISTER_PROBE])
    it(`what io_uring can do without (io_uring_register, operation ${operation}): uring all the same`, async (context) => {
      await new UringLayer().close(); // for what a process makes once
      deny(context, 'io_uring_register', (_, __, what) => what === operation);
      assert.equal((await chosen()).name, 'uring');
    });

  it('a layer that is forced and unavailable: an error that says why', (context) => {
    deny(context, 'io_uring_enter');
    assert.throws(() => chooseEventLayer('uring'), {
      code: 'ERR_EVENT_LAYER',
      message: /SLUICE_EVENT_LAYER is "uring".*io_uring_enter EPERM/,
    });
  });

  it('serve runs on the next layer', async (context) => {
    const { SLUICE_EVENT_LAYER } = process.env;
    delete process.env.SLUICE_EVENT_LAYER;
    deny(context, 'io_uring_enter');
    await using server = await serve({
      port: 0,
      hostname: '127.0.0.1',
      globals: false,
      fetch: () => new Response('hello'),
    });
    if (SLUICE_EVENT_LAYER !== undefined) process.env.SLUICE_EVENT_LAYER = SLUICE_EVENT_LAYER;
    assert.equal(server.eventLayer, 'epoll');
    const response = await fetch(`http://127.0.0.1:${server.port}`, { headers: { connection: 'close' } });
    assert.equal(await response.text(), 'hello');
  });
});

describe('epoll may watch no more descriptors', { skip }, () => {
  const EPOLL_CTL_ADD = 1;

  it('listen fails, and leaves no descriptor and no socket file behind', async (context) => {
    const layer = new EpollLayer();
    const harness = new Harness(layer, realTime);
    await harness.listen();
    await harness.pass(1);
    const before = openDescriptors();
    deny(context, 'epoll_ctl', (_, operation) => operation === EPOLL_CTL_ADD, ENOSPC);
    await assert.rejects(harness.listen(), { code: 'ENOSPC', message: /cannot listen on 127\.0\.0\.1.*no space/ });
    const path = `/tmp/sluice-denied-${process.pid}.sock`;
    await assert.rejects(harness.listen({ path }), { code: 'ENOSPC' });
    assert.equal(openDescriptors(), before);
    assert.throws(() => readdirSync(path), { code: 'ENOENT' });
    assert.equal(layer.counts.listeners, 1);
    await harness.over();
  });

  it('a listener that rests after a failure is not given up: it is tried again until it succeeds', async (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] });
    const layer = new EpollLayer();
    const harness = new Harness(layer, (_layer, milliseconds) => {
      context.mock.timers.tick(milliseconds);
      return new Promise((resolve) => setImmediate(resolve));
    });
    const { address } = await harness.listen();
    let accepts = 0;
    let controls = 0;
    deny(context, 'accept4', () => ++accepts === 1);
    harness.connect(address);
    await harness.until(() => harness.acceptFailures.length === 1, 'the failure');
    deny(context, 'epoll_ctl', (_, operation) => operation === EPOLL_CTL_ADD && ++controls <= 2, ENOSPC);
    await harness.until(() => harness.open === 2, 'the connection');
    assert.ok(controls > 2, 'to accept again has failed twice');
    assert.equal(harness.acceptFailures.length, 1);
    for (const end of harness.ends) end.reset();
    await harness.until(() => harness.open === 0, 'all to close');
    await harness.over();
  });
});
