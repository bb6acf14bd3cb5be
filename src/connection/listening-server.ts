// The part of a listener that users get: its address, its counts, `reload` and `close`.

import { formatAddress } from '../event-layer/event-layer.js';
import type { BufferedCounts } from './buffered-bytes.js';
import type { CloseOptions, ConnectionCounts, Listener, ReloadOptions } from './listener.js';

/** The members that all servers have. The interfaces of the servers describe them. */
export class ListeningServer implements AsyncDisposable {
  readonly #listener: Listener;

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  get port(): number | undefined {
    const { address } = this.#listener;
    return 'port' in address ? address.port : undefined;
  }

  get eventLayer(): string {
    return this.#listener.network.layer.name;
  }

  get connections(): ConnectionCounts {
    return this.#listener.connections;
  }

  get buffered(): BufferedCounts {
    return this.#listener.buffers.counts;
  }

  reload(options: ReloadOptions): Promise<void> {
    return this.#listener.reload(options);
  }

  close(options?: CloseOptions): Promise<void> {
    return this.#listener.close(options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A server with an address instead of a URL: that of `listen`, and those of `sluice/node`. */
export class AddressedServer extends ListeningServer {
  readonly #listener: Listener;

  constructor(listener: Listener) {
    super(listener);
    this.#listener = listener;
  }

  get address(): string {
    return formatAddress(this.#listener.address);
  }
}
