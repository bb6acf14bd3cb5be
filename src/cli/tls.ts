// The options of the command for TLS: which certificate is served, and that files which change are loaded again.

import { unwatchFile, watchFile } from 'node:fs';
import type { ServeOptions, Server } from '../server/serve.js';
import { CommandError, oneLine } from './app.js';
import { selfSigned } from './self-signed.js';

/** Milliseconds. */
const defaultTimes = {
  /** Between two looks at the files. At their state: what renews certificates replaces files, or links to them, which watching would miss. */
  interval: 1000,
  /** From the last change until both are read: they are written one after the other. */
  settling: 500,
};

export interface TlsArguments {
  key: string | undefined;
  cert: string | undefined;
  selfSigned: boolean;
  /** Text of the option. */
  redirectHttp: string | undefined;
}

/** The files of the command line; undefined if it names none. */
export interface TlsFilePair {
  readonly key: string;
  readonly cert: string;
}

/** @throws {CommandError} for options that do not fit each other */
export function checkTlsArguments({ key, cert, selfSigned: isSelfSigned }: TlsArguments): void {
  if (isSelfSigned && (key !== undefined || cert !== undefined))
    throw new CommandError('--tls-self-signed and --tls-key or --tls-cert are both given; expected one of them');
  if (key === undefined && cert === undefined) return;
  if (cert === undefined) throw new CommandError('--tls-key is given without --tls-cert; expected both');
  if (key === undefined) throw new CommandError('--tls-cert is given without --tls-key; expected both');
}

/** @param args have been checked @throws {CommandError} if no certificate can be made */
export function tlsFiles({ key, cert, selfSigned: isSelfSigned }: TlsArguments): TlsFilePair | undefined {
  if (isSelfSigned) return selfSignedFiles();
  return key === undefined || cert === undefined ? undefined : { key, cert };
}

function selfSignedFiles(): TlsFilePair {
  try {
    const { key, cert, isNew, until } = selfSigned();
    const date = until.toISOString().slice(0, 10);
    console.log(`sluice: ${isNew ? 'made a' : 'uses the'} self-signed certificate ${cert}, valid until ${date}`);
    if (isNew)
      console.log(
        `  Clients trust it if they are told to: curl --cacert ${cert}, NODE_EXTRA_CA_CERTS=${cert}, or import it as an authority into a browser.`,
      );
    return { key, cert };
  } catch (error) {
    throw new CommandError(`--tls-self-signed: no certificate can be made: ${oneLine(error)}`);
  }
}

/** The options of `serve` with the files of the command line, in place of what the module has. */
export function withTls(options: ServeOptions, files: TlsFilePair | undefined): ServeOptions {
  return files === undefined ? options : { ...options, tls: { ...files } };
}

/** A message of `serve` or `reload` in terms of the command. */
export function inTermsOfCommand(message: string, files: TlsFilePair | undefined): string {
  if (files === undefined) return message;
  return message
    .replace('; allowExpired: true uses it all the same', '')
    .replaceAll(
      /(?:serve|reload): tls\.(key|cert)|(?<=is not the key of |has no key among )tls\.(key|cert)/g,
      '--tls-$1$2',
    );
}

/** Loads the files again when they change, until the returned function is called. What cannot be used is reported, and the old stays. */
export function reloadOnChange(server: Pick<Server, 'reload'>, files: TlsFilePair, times = defaultTimes): () => void {
  let timer: NodeJS.Timeout | undefined;
  const reload = async (): Promise<void> => {
    try {
      await server.reload({ tls: { ...files } });
      console.log('sluice: the certificate has been reloaded');
    } catch (error) {
      const reason = inTermsOfCommand(oneLine(error), files);
      console.error(`sluice: the certificate has not been reloaded, and the old one stays in use: ${reason}`);
    }
  };
  const changed = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => void reload(), times.settling).unref();
  };
  const paths = [files.key, files.cert];
  for (const path of paths) watchFile(path, { interval: times.interval, persistent: false }, changed);
  return () => {
    clearTimeout(timer);
    for (const path of paths) unwatchFile(path, changed);
  };
}
