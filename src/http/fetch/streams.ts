// The streams of bodies: making them, reading them to the end, dividing one in two, and noticing that one was read from.
// https://streams.spec.whatwg.org/

import { propertyOf } from '../../util/inspect.js';
import { PlatformResponse } from './platform.js';

/** A byte stream like the platform's, so that BYOB readers work. @param content called when it is read; the memory goes to the reader without a copy */
export function byteStream(content: () => Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    type: 'bytes',
    pull(controller) {
      const bytes = content();
      if (bytes.byteLength > 0) controller.enqueue(bytes);
      controller.close();
      controller.byobRequest?.respond(0);
    },
  });
}

export function brokenStream(message: string): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.error(new TypeError(message)) });
}

/** The stream that `body` returns after the content has been read without a stream: locked and empty. */
export function lockedStream(): ReadableStream<Uint8Array> {
  const stream = new ReadableStream<Uint8Array>();
  stream.getReader();
  return stream;
}

/** A stream of the platform over any other stream, which is read when the new one is read, and cancelled with it. */
export function mapped<From, To>(
  stream: Pick<ReadableStream<From>, 'getReader'>,
  map: (chunk: From) => To,
): ReadableStream<To> {
  const reader = stream.getReader();
  return new ReadableStream<To>(
    {
      async pull(controller) {
        const { done, value } = await reader.read();
        if (done) {
          controller.close();
          return;
        }
        try {
          controller.enqueue(map(value as From)); // a result that is not the last has a value
        } catch (error) {
          reader.cancel(error).catch(() => {}); // the reader of the stream gets `error`; an error of cancelling adds nothing
          throw error;
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

/** A stream of the platform over an async iterable, such as a stream of Node. */
export function fromIterable(body: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await iterator.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel(reason) {
        // `return` of the iterator of a Node stream does not end the stream if nothing has been read.
        const destroy = propertyOf(body, 'destroy');
        if (typeof destroy === 'function') Reflect.apply(destroy, body, []);
        else await iterator.return?.(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

/**
 * Divides a stream in two. The chunks of the second one are copies, made before either is read: code that changes the chunks of one does not change the
 * other. https://streams.spec.whatwg.org/#abstract-opdef-readablestreamtee with cloneForBranch2
 */
export function divided(stream: ReadableStream<Uint8Array>): [ReadableStream<Uint8Array>, ReadableStream<Uint8Array>] {
  if (isByteStream(stream)) return stream.tee(); // the platform copies the chunks of these
  const [kept, given] = mapped(stream, (chunk) => ({ chunk, copy: copyOfChunk(chunk) })).tee();
  return [mapped(kept, ({ chunk }) => chunk), mapped(given, ({ copy }) => copy)];
}

/** The stream must be unlocked. */
function isByteStream(stream: ReadableStream): boolean {
  try {
    stream.getReader({ mode: 'byob' }).releaseLock();
    return true;
  } catch {
    return false; // the platform has no other way to find out
  }
}

/** A chunk may be of any type before the body is read. `structuredClone` would copy all of the memory that a view is a part of. */
function copyOfChunk(chunk: Uint8Array): Uint8Array {
  return chunk instanceof Uint8Array ? new Uint8Array(chunk) : structuredClone(chunk);
}

/** @throws {TypeError} if a chunk is no Uint8Array */
export async function readToEnd(stream: ReadableStream<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (!(value instanceof Uint8Array)) {
      const error = new TypeError(`expected a Uint8Array from the body's stream, found ${typeof value}`);
      reader.cancel(error).catch(() => {}); // the caller gets `error`; an error of cancelling adds nothing
      throw error;
    }
    chunks.push(value);
    length += value.byteLength;
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

// There is no public interface for whether a stream was read from. Node and Bun have this symbol. Deno has none; there, the answer is `bodyUsed` of a platform
// message with the stream.
const DISTURBED = Symbol.for('nodejs.stream.disturbed');
const disturbedProbe = new WeakMap<ReadableStream, { readonly bodyUsed: boolean }>();

export function isDisturbed(stream: ReadableStream): boolean {
  const mark: unknown = Reflect.get(stream, DISTURBED);
  return typeof mark === 'boolean' ? mark : (disturbedProbe.get(stream)?.bodyUsed ?? false);
}

/** Must be called before any code can read the stream, or a read goes unnoticed. TypeError if it has been read. */
export function trackDisturbed(stream: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  if (!(DISTURBED in stream) && !disturbedProbe.has(stream) && !stream.locked)
    disturbedProbe.set(stream, new PlatformResponse(stream));
  return stream;
}

/** The same for a stream that is the body of a platform message. */
export function trackWith(stream: ReadableStream<Uint8Array>, message: { readonly bodyUsed: boolean }): void {
  disturbedProbe.set(stream, message);
}
