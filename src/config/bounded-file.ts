/**
 * Reads files that a configuration names. Whoever may change one of them must not be able to stop or exhaust a running gateway, so bytes and time are
 * bounded.
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs'
import { Unfit } from './schema/field.ts'

/** Bytes. */
export const LARGEST = 64 * 1024 * 1024
/** How long to wait for a pipe, in milliseconds. Nobody is served meanwhile. */
const PIPE_TIME = 5000
const PIPE_INTERVAL = 20
/**
 * A shared buffer for all reads: ten thousand certificates and keys are read one after the other, and a buffer for each would leave hundreds of
 * megabytes of garbage.
 */
const room = Buffer.allocUnsafeSlow(64 * 1024)

/**
 * Undefined where there is nothing: an endless chain of links, or a name that is too long, also names nothing.
 * @throws Unfit where we may not look
 */
export function statOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch (error) {
    const code = errorCode(error)
    if (code === 'EACCES' || code === 'EPERM') throw new Unfit(`names ${path}, which this user may not read`)
    return undefined
  }
}

/**
 * Reads a file, or what is written to a pipe. It is judged by what was opened, whatever the path named before. It never waits without end: opening a
 * pipe that nobody writes to would block.
 * @throws Unfit with the reason
 */
export function readBounded(path: string, largest = LARGEST): Buffer {
  let descriptor: number | undefined
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const opened = fstatSync(descriptor)
    if (!opened.isFile() && !opened.isFIFO()) throw new Unfit(`names ${path}, which is no file`)
    return readAll(descriptor, path, largest, opened.isFIFO())
  } catch (error) {
    if (error instanceof Unfit) throw error
    const code = errorCode(error)
    throw new Unfit(
      code === 'EACCES'
        ? `names ${path}, which this user may not read`
        : `names ${path}, which cannot be read (${code})`,
    )
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

/** A file may grow while it is read, and some of /proc have no size at all. */
function readAll(descriptor: number, path: string, largest: number, isPipe: boolean): Buffer {
  const pieces: Buffer[] = []
  const until = performance.now() + PIPE_TIME
  let size = 0
  for (;;) {
    const length = readInto(room, descriptor)
    // A pipe also reports its end before its writer has come.
    if (length === 0 && (!isPipe || size > 0)) return Buffer.concat(pieces, size)
    if (length === undefined || length === 0) {
      if (performance.now() > until)
        throw new Unfit(
          `names ${path}, a pipe that was not written within ${PIPE_TIME} ms; each worker and each reload reads it anew, so give a file`,
        )
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PIPE_INTERVAL)
      continue
    }
    size += length
    if (size > largest) throw new Unfit(`names ${path}, which is larger than ${largest} bytes`)
    pieces.push(Buffer.from(room.subarray(0, length)))
  }
}

/** 0 at the end; undefined where there is nothing yet. */
function readInto(room: Buffer, descriptor: number): number | undefined {
  try {
    return readSync(descriptor, room)
  } catch (error) {
    if (errorCode(error) === 'EAGAIN') return undefined
    throw error
  }
}

export function errorCode(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown error'
}
