// Connections that are being made: node:net looks names up and tries the addresses by itself.

import net, { isIP } from 'node:net';
import { checkPath, connectFailed, layerClosed, type Target } from '../errors.js';
import type { Address, ConnectionError, Slot, SocketOptions } from '../event-layer.js';
import type { SlotSocket } from './slots.js';
import { asError, optionsOfNode } from './sockets.js';

export class Connecting {
  /** Where `connect` was asked to go, and from where. Of every slot that was asked for, until it is free. */
  readonly #targets = new Map<Slot, Target>();

  /** Begins to connect. @param isClosing it is too late for that @returns the socket, and why it cannot, if that is known at once */
  begin(
    address: Address,
    localAddress: string | undefined,
    options: SocketOptions,
    isClosing: boolean,
  ): { socket: SlotSocket; failure: Error | undefined } {
    const common = { allowHalfOpen: true, noDelay: true };
    // A local address can only reach addresses of the same family.
    const local = localAddress === undefined ? {} : { localAddress, family: isIP(localAddress) };
    try {
      if (isClosing) throw layerClosed('connect');
      if ('path' in address) {
        checkPath(address.path);
        return { socket: net.connect({ ...common, path: address.path }), failure: undefined };
      }
      const { hostname: host, port } = address;
      return {
        socket: net.connect({ ...common, ...optionsOfNode(options), ...local, host, port }),
        failure: undefined,
      };
    } catch (error) {
      // An impossible port, say. Reported like any other failure.
      return { socket: new net.Socket(), failure: asError(error) };
    }
  }

  asked(slot: Slot, target: Target): void {
    this.#targets.set(slot, target);
  }

  /** Where the slot's connection goes, if it is one that was asked for. */
  target(slot: Slot): Target | undefined {
    return this.#targets.get(slot);
  }

  /** Why the connection could not be made; undefined if it was not made by `connect`. */
  reason(slot: Slot, code: string, error: Error): ConnectionError | undefined {
    const target = this.#targets.get(slot);
    return target && connectFailed(target, code, error.message, error);
  }

  /** The slot is free from now on. */
  free(slot: Slot): void {
    if (this.#targets.size > 0) this.#targets.delete(slot);
  }
}
