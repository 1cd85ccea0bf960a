/** A temporary folder per test file, removed when the file ends: no key or certificate outlives its run. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from '@jest/globals'

let root: string | undefined
let count = 0

afterAll(() => {
  if (root !== undefined) rmSync(root, { recursive: true, force: true })
})

/** A new empty folder, readable by its owner only. */
export function temporaryFolder(): string {
  root ??= mkdtempSync(join(tmpdir(), 'sallyport-test-'))
  return mkdtempSync(join(root, 'folder-'))
}

/** Writes a new file of the given last name and returns its path. */
export function temporaryFile(name: string, content: string | Buffer): string {
  root ??= mkdtempSync(join(tmpdir(), 'sallyport-test-'))
  const path = join(root, `${++count}-${name}`)
  writeFileSync(path, content, { mode: 0o600 })
  return path
}

/** What is done while nobody may look into a folder. Root may look into any, so another user does it then. */
export function whileClosed<T>(folder: string, act: () => T): T {
  const isRoot = process.geteuid?.() === 0
  chmodSync(folder, 0)
  if (isRoot) process.seteuid?.(65_534)
  try {
    return act()
  } finally {
    if (isRoot) process.seteuid?.(0)
    chmodSync(folder, 0o700)
  }
}
