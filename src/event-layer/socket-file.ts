// The file of a Unix-domain socket that listens. The kernel leaves it behind when the socket is closed or its process killed, and refuses to
// bind another socket to the path as long as it is there.

import { type BigIntStats, lstatSync, renameSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import process from 'node:process';

/** Which file a path led to. */
export interface SocketFile {
  readonly path: string;
  readonly device: bigint;
  readonly inode: bigint;
}

/** The file of a socket that has just been bound to the path. @returns undefined if there is none (any more), and for a pipe of Windows */
export function socketFileAt(path: string): SocketFile | undefined {
  const stats = statsOf(path);
  return stats?.isSocket() === true ? { path, device: stats.dev, inode: stats.ino } : undefined;
}

/** Removes the file, unless another has taken its place: a server that was started meanwhile may listen there. */
export function removeSocketFile(file: SocketFile): void {
  if (!isAt(file)) return;
  try {
    unlinkSync(file.path);
  } catch (error) {
    // Removed in between, or in a folder that may not be written to any more: the next server at the path takes it over.
    if (codeOf(error) === undefined) throw error;
  }
}

/** Calls something that removes whatever is at the path; another file than this one is kept. */
export function keepOthers(file: SocketFile, remove: () => void): void {
  if (isAt(file) || statsOf(file.path) === undefined) {
    remove();
    return;
  }
  const aside = `${file.path}.${process.pid}-${Date.now().toString(36)}`;
  renameSync(file.path, aside);
  try {
    remove();
  } finally {
    renameSync(aside, file.path);
  }
}

/**
 * Removes the file of a socket on which nothing listens any more, as that of a server that was killed.
 * @returns whether the path is free now. It is not if a server answers there, if that is unknown, and if the file is not a socket
 */
export async function removeIfStale(path: string): Promise<boolean> {
  const before = socketFileAt(path);
  if (before === undefined) return statsOf(path) === undefined;
  if (!(await isRefused(path)) || !isAt(before)) return false;
  removeSocketFile(before);
  return statsOf(path) === undefined;
}

function isAt({ path, device, inode }: SocketFile): boolean {
  const stats = statsOf(path);
  return stats !== undefined && stats.dev === device && stats.ino === inode;
}

/** Symbolic links are not followed: one that leads to a socket is not removed. */
function statsOf(path: string): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true });
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return undefined; // ENOENT, or a folder that may not be looked into
  }
}

/** Whether a connection is refused: no socket that listens is bound to the file. */
function isRefused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', (error) => resolve(codeOf(error) === 'ECONNREFUSED'));
  });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
