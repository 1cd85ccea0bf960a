import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from '@jest/globals'
import { type Exit, startChild } from '../support/children.ts'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import { PROJECT } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'

const PROGRAM = join(PROJECT, 'bin', 'sallyport.js')
const folder = temporaryFolder()

let scene: Scene
let config: string
beforeAll(async () => {
  scene = await makeScene()
  config = temporaryFile('sallyport.yaml', JSON.stringify(scene.config()))
})

const COMMANDS: readonly (readonly [string, () => readonly string[]])[] = [
  ['--help', () => ['--help']],
  ['--version', () => ['--version']],
  ['run --help', () => ['run', '--help']],
  ['check', () => ['check', '-c', config]],
  ['inspect', () => ['inspect', '-c', config, scene.ada.files().certificate]],
  ['certs', () => ['certs', folder]],
  ['hash', () => ['hash', '--algorithm', 'bcrypt']],
]

/** @param redirection of a shell; without one, whoever reads standard output has left before the command starts */
async function sallyport(args: readonly string[], redirection = ''): Promise<Exit> {
  const shell = ['-c', `read -r go; exec "$@" ${redirection}`, 'sh', process.execPath, PROGRAM, ...args]
  const child = startChild('sh', shell, { interactive: true })
  if (redirection === '') {
    child.process.stdout.destroy()
    await once(child.process.stdout, 'close')
  }
  child.process.stdin.end('go\na password\n')
  return child.exited
}

test.each(COMMANDS)('%s fails with one line where standard output is full', async (_name, args) => {
  const { status, stderr } = await sallyport(args(), '>/dev/full')
  expect(stderr).toBe('sallyport: standard output cannot be written: ENOSPC: no space left on device, write\n')
  expect(status).toBe(1)
})

test.each(COMMANDS)('%s fails without a word where its reader has left', async (_name, args) => {
  const { status, stderr } = await sallyport(args())
  expect([status, stderr]).toEqual([1, ''])
})

test('certificates are made all the same', () => {
  expect(readdirSync(folder)).toContain('ca.crt')
})
