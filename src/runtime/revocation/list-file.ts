import { closeSync, constants, openSync, readFileSync } from 'node:fs'

/** Reads a file of revocation lists. Where it has become a pipe since it was checked, opening it in the usual way would block until somebody writes to it. */
export function readListFile(file: string): Buffer {
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    return readFileSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
