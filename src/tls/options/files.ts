// Reads what the option `tls` names: PEM, DER, or the files with them.

import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, isInstance, propertyOf, show } from '../../util/inspect.js';
import { TlsConfigError } from './errors.js';
import type { TlsFile, TlsFiles } from './options.js';

const pemBegin = '-----BEGIN';
/** Base64 of this many characters or more is taken for a key without its header, and is not shown. A path hardly has so many without a dot. */
const likelyKey = /^[A-Za-z0-9+/=_-]{60,}$/;

export interface TlsSource {
  readonly bytes: Buffer;
  /** What it is called in messages: the option, and the file if there is one. */
  readonly name: string;
}

/** @param option for messages, such as `serve: tls.cert` @throws {TlsConfigError} `ERR_TLS_FILE`, `ERR_TLS_PEM` */
export function readPem(option: string, value: TlsFiles | undefined): TlsSource[] {
  if (value === undefined) return [];
  const list: readonly TlsFile[] = Array.isArray(value) ? value : [value];
  return list.map((each, i) => {
    const source = read(list.length > 1 ? `${option}[${i}]` : option, each, (text) => text.includes(pemBegin));
    if (source.bytes.includes(pemBegin)) return source;
    throw new TlsConfigError('ERR_TLS_PEM', `${source.name} has no "${pemBegin}"; expected PEM`);
  });
}

/** The same for what is not PEM: a string is always a path. */
export function readBytes(option: string, value: TlsFile): TlsSource {
  return read(option, value, () => false);
}

/** Synchronously: there are few of these files, they are small, and they are read once. */
function read(option: string, value: TlsFile, isContent: (text: string) => boolean): TlsSource {
  if (typeof value === 'string') {
    if (isContent(value)) return { bytes: Buffer.from(value), name: option };
    if (value.startsWith('file:')) return readFile(option, pathOf(option, value));
    if (/[\r\n]/.test(value) || likelyKey.test(value)) {
      const found = `a string of ${value.length} characters without "${pemBegin}"`;
      throw new TlsConfigError('ERR_TLS_PEM', `${option} is ${found}; expected PEM, or the path of a file`);
    }
    return readFile(option, value);
  }
  if (isInstance(value, URL)) {
    if (value.protocol !== 'file:')
      throw new TypeError(`${option} is a URL with the scheme ${show(value.protocol)}; expected file:`);
    return readFile(option, pathOf(option, value));
  }
  // A copy: what the user does to the bytes later must not matter when contexts are made from them again.
  return { bytes: Buffer.from(isInstance(value, ArrayBuffer) ? new Uint8Array(value) : value), name: option };
}

/** @throws {TypeError} for a URL of a file that is none on this system */
function pathOf(option: string, url: string | URL): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw new TypeError(`${option} is ${show(String(url))}; expected a file: URL with a path: ${describe(error)}`, {
      cause: error,
    });
  }
}

function readFile(option: string, path: string): TlsSource {
  const unreadable = (reason: string, options?: ErrorOptions): TlsConfigError =>
    new TlsConfigError('ERR_TLS_FILE', `${option} is ${show(path)}, which cannot be read: ${reason}`, options);
  try {
    // Before it is opened: that of a FIFO would wait for a writer, and the process with it.
    const stat = statSync(path);
    if (stat.isDirectory()) throw unreadable('it is a folder');
    if (!stat.isFile()) throw unreadable('it is no regular file');
    return { bytes: readFileSync(path), name: `${option} (${path})` };
  } catch (error) {
    if (error instanceof TlsConfigError) throw error;
    const reasons: Record<string, string> = { ENOENT: 'there is no such file', EACCES: 'permission denied' };
    throw unreadable(reasons[String(propertyOf(error, 'code'))] ?? describe(error), { cause: error });
  }
}
