/**
 * Real peers may be missing on a developer's machine: their tests are then skipped, and one line says so.
 * In CI (CI=true, or SALLYPORT_NO_SKIPS=1) a missing peer fails, so that nothing is left untested unseen.
 */
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from '@jest/globals'

const FOLDERS = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/local/sbin']
const NO_SKIPS = process.env.CI === 'true' || process.env.SALLYPORT_NO_SKIPS === '1'

/** The path of an installed program, as `which`, administrators' folders included. */
export function findCommand(name: string): string | undefined {
  return FOLDERS.filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** `describe` for tests that need installed programs. */
export function describeWith(commands: readonly string[], name: string, tests: () => void): void {
  const missing = commands.filter((command) => findCommand(command) === undefined)
  if (missing.length === 0) {
    describe(name, tests)
  } else if (NO_SKIPS) {
    test(name, () => {
      throw new Error(`not installed: ${missing.join(', ')}`)
    })
  } else {
    process.stderr.write(`skipped, as ${missing.join(', ')} is not installed: ${name}\n`)
    describe.skip(name, tests)
  }
}
