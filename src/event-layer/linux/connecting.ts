// Connections that are being made. A name may have several addresses, which are tried one after the other.

import { isIP } from 'node:net';
import { connectFailed, type Target } from '../errors.js';
import { type Address, ConnectionError, type Slot, type SocketOptions } from '../event-layer.js';
import { internetName, isPath, namesAtOnce, namesOf, type SocketName } from './addresses.js';
import { asSystemError, describeErrno, EINPROGRESS, type Libc } from './libc.js';
import { connecting, dropped, open, type Slots } from './slots.js';
import { bindSource, makeSocket, pendingError, setSocketOptions } from './sockets.js';

/** The part of the layer that this file uses. */
export interface ConnectingLayer {
  /** A connection is being made: `becameWritable` is to be called when that is over. */
  adoptConnecting(slot: Slot): void;
  /** Closes the descriptor, with RST or without; no more events of the slot are reported. */
  release(slot: Slot, reset: boolean): void;
  /** It is established, and its flags are set. */
  madeConnection(slot: Slot): void;
  /** The connection could not be made. */
  fail(slot: Slot, reason: ConnectionError): void;
  requestTurn(): void;
}

interface Attempt extends Target {
  /** Addresses that are left to be tried. */
  names: SocketName[];
  options: SocketOptions;
}

export class Connecting {
  readonly #libc: Libc;
  readonly #slots: Slots;
  readonly #layer: ConnectingLayer;
  /** Of every slot that was asked for, until it is free. */
  readonly #targets = new Map<Slot, Target>();
  /** Attempts that the kernel is at. */
  readonly #attempts = new Map<Slot, Attempt>();

  constructor(libc: Libc, slots: Slots, layer: ConnectingLayer) {
    this.#libc = libc;
    this.#slots = slots;
    this.#layer = layer;
  }

  /** Where the slot's connection goes, if it is one that was asked for. */
  target(slot: Slot): Target | undefined {
    return this.#targets.get(slot);
  }

  /** Begins to make a slot's connection. */
  begin(slot: Slot, address: Address, localAddress: string | undefined, options: SocketOptions): void {
    const generation = this.#slots.generations[slot];
    const attempt: Attempt = { address, localAddress, names: [], options };
    this.#targets.set(slot, attempt);
    if (isPath(address) || isIP(address.hostname) !== 0) {
      try {
        attempt.names = namesAtOnce(address);
        this.#attempt(slot, attempt);
      } catch (error) {
        this.#failAttempt(slot, attempt, error);
      }
      return;
    }
    const isWanted = (): boolean =>
      this.#slots.generations[slot] === generation && (this.#slots.flags[slot] & (connecting | dropped)) === connecting;
    namesOf(address).then(
      (names) => {
        if (!isWanted()) return;
        attempt.names = names;
        this.#attempt(slot, attempt);
      },
      (error: unknown) => {
        if (isWanted()) this.#failAttempt(slot, attempt, error);
      },
    );
  }

  /** The kernel says that an attempt is over. */
  attempted(slot: Slot): void {
    const attempt = this.#attempts.get(slot);
    if (attempt === undefined) return;
    this.#attempts.delete(slot);
    const { descriptors, flags } = this.#slots;
    const errno = pendingError(this.#libc, descriptors[slot]);
    if (errno === 0) {
      flags[slot] = (flags[slot] & ~connecting) | open;
      this.#layer.madeConnection(slot);
      return;
    }
    this.#layer.release(slot, false);
    descriptors[slot] = -1;
    this.#failAttempt(slot, attempt, new ConnectionError(...nameAndMeaning(errno)));
  }

  /** The connection is gone, or no longer wanted. */
  forget(slot: Slot): void {
    this.#attempts.delete(slot);
  }

  /** The slot is free from now on. */
  free(slot: Slot): void {
    if (this.#targets.size > 0) this.#targets.delete(slot);
  }

  /** Tries the next of the addresses. */
  #attempt(slot: Slot, attempt: Attempt): void {
    const name = attempt.names.shift();
    if (name === undefined) return;
    let descriptor = -1;
    try {
      descriptor = makeSocket(this.#libc, name.family);
      setSocketOptions(this.#libc, descriptor, name.family, attempt.options);
      this.#bindSource(descriptor, name, attempt);
      const result = this.#libc.connect(descriptor, name.bytes, name.bytes.length);
      const errno = result === 0 ? 0 : this.#libc.errno();
      if (errno !== 0 && errno !== EINPROGRESS) throw new ConnectionError(...nameAndMeaning(errno));
      this.#slots.descriptors[slot] = descriptor;
      this.#attempts.set(slot, attempt);
      this.#layer.adoptConnecting(slot);
      this.#layer.requestTurn();
    } catch (error) {
      if (descriptor !== -1) this.#libc.close(descriptor);
      this.#failAttempt(slot, attempt, error);
    }
  }

  #bindSource(descriptor: number, name: SocketName, { localAddress, address }: Attempt): void {
    if (localAddress === undefined || isPath(address)) return;
    const own = internetName(localAddress, 0);
    if (own.family !== name.family)
      throw new ConnectionError(
        'ERR_ADDRESS',
        `the local address is ${localAddress}, of another family than the target`,
      );
    const errno = bindSource(this.#libc, descriptor, own);
    if (errno !== 0) throw new ConnectionError(...nameAndMeaning(errno));
  }

  /** An attempt has failed: the next address is tried, if there is one. */
  #failAttempt(slot: Slot, attempt: Attempt, error: unknown): void {
    if (attempt.names.length > 0) {
      this.#attempt(slot, attempt);
      return;
    }
    const { code, message } = asSystemError(error);
    this.#layer.fail(slot, connectFailed(attempt, code, message, error));
  }
}

function nameAndMeaning(errno: number): [string, string] {
  const { code, meaning } = describeErrno(errno);
  return [code, meaning];
}
