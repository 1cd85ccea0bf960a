import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Backend, startBackend } from '../support/backend.ts'
import { startChild } from '../support/children.ts'
import { curl } from '../support/curl.ts'
import { temporaryFolder } from '../support/folder.ts'
import { type Gateway, PROJECT, sallyport, startGateway } from '../support/gateway.ts'
import { waitFor } from '../support/wait.ts'

const page = /^## Authentication methods$([\s\S]*?)(?=^## |$(?![\s\S]))/m.exec(
  readFileSync(join(PROJECT, 'docs/plugins.md'), 'utf8'),
)?.[1] as string
const folder = temporaryFolder()
let gateway: Gateway
let backend: Backend

/** The blocks of code that begin with the name of their file. */
const files = [...page.matchAll(/```\w+\n(?:\/\/|#) ([\w.]+)\n([\s\S]*?)```/g)].map(([, name = '', text = '']) => ({
  name,
  text,
}))
const commands = [...page.matchAll(/^curl (.*)$/gm)].map(([, line = '']) => line)

beforeAll(async () => {
  backend = await startBackend({})
  await sallyport(['certs'], { cwd: folder })
  for (const { name, text } of files) {
    writeFileSync(
      join(folder, name),
      text.replace('127.0.0.1:8443', '127.0.0.1:0').replace('http://127.0.0.1:3000', backend.url),
    )
  }
  startChild('/usr/bin/python3', ['school.py'], { cwd: folder })
  await waitFor('the program’s socket', () => existsSync(join(folder, 'school.sock')))
  gateway = await startGateway({
    config: readFileSync(join(folder, 'gateway.yaml'), 'utf8'),
    cwd: folder,
    env: { PWD: folder },
  })
})
afterAll(() => backend.close())

test('every command gives what the page says', async () => {
  expect(commands).toHaveLength(4)
  const answers: string[] = []
  for (const command of commands) {
    const args = [...command.replace('8443', String(gateway.port)).matchAll(/'([^']*)'|(\S+)/g)].map(
      ([, quoted, plain]) => quoted ?? plain ?? '',
    )
    answers.push((await curl(args, { cwd: folder })).stdout)
  }
  for (const [index, name] of [
    [0, 'school'],
    [2, 'python-school'],
  ] as const) {
    expect(answers[index]).toMatch(/^HTTP\/1.1 401/)
    expect(answers[index]).toContain(`WWW-Authenticate: ${name} realm="sallyport", response="X-School"`)
    expect(answers[index]).toContain("What's the name of your high school?")
  }
  expect([answers[1], answers[3]]).toEqual([
    expect.stringMatching(/^HTTP\/1.1 200/),
    expect.stringMatching(/^HTTP\/1.1 200/),
  ])
  expect(backend.seen.map(({ target }) => target)).toEqual(['/', '/'])
})
