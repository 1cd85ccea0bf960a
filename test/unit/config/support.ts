import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from '@jest/globals'
import { type Config, type LoadedConfig, loadConfig } from '../../../src/config/index.ts'
import { describeProblem } from '../../../src/errors.ts'

/** Looks like PEM, which is all that the configuration asks of it. */
function pemText(label: string, body = 'AAAA'): string {
  return `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`
}

export const CERTIFICATE = pemText('CERTIFICATE')
export const KEY = pemText('PRIVATE KEY', 'c2VjcmV0a2V5')

export function writePems(folder: string): void {
  writeFileSync(join(folder, 'server.crt'), CERTIFICATE)
  writeFileSync(join(folder, 'server.key'), KEY)
  writeFileSync(join(folder, 'ca.crt'), CERTIFICATE)
  writeFileSync(join(folder, 'ca.crl'), Buffer.from([0x30, 0x03, 1, 2, 3]))
}

/** A folder with PEM files in it, gone after the tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'config-'))
  writePems(folder)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Loads YAML text from a file `test.yaml` in `folder`. */
export function loadText(folder: string, yaml: string | Uint8Array, env: NodeJS.ProcessEnv = {}): LoadedConfig {
  const file = join(folder, 'test.yaml')
  writeFileSync(file, yaml === '' ? '# nothing' : yaml)
  return loadConfig({ file, env })
}

/** The problems as printed, with the folder left out. */
export function problemsOf(folder: string, loaded: LoadedConfig): string[] {
  return loaded.problems.map((problem) => describeProblem(problem).replaceAll(`${folder}/`, ''))
}

/** The configuration, or a test failure that shows the problems. */
export function usable(loaded: LoadedConfig): Config {
  if (!loaded.config) throw new Error(loaded.problems.map(describeProblem).join('\n'))
  return loaded.config
}
