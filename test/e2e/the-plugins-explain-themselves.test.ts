import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { run } from '../support/children.ts'
import { temporaryFile } from '../support/folder.ts'

const plugin = (name: string, ...args: string[]) =>
  run(process.execPath, [fileURLToPath(new URL(`../../plugins/${name}`, import.meta.url)), ...args])

test.each(['certmap-file.js', 'certmap-sss.js'])(
  '%s: --help is its usage, and so is what it does not understand',
  async (name) => {
    const usage = expect.stringMatching(new RegExp(`^usage: ${name} .*--socket PATH\\n$`))
    expect(await plugin(name, '--help')).toMatchObject({ status: 0, stdout: usage, stderr: '' })
    expect(await plugin(name, '-h')).toMatchObject({ status: 0, stdout: usage })
    for (const args of [[], ['--sokcet', 'x']]) {
      const { status, stderr } = await plugin(name, ...args)
      expect([status, stderr]).toEqual([1, expect.stringMatching(new RegExp(`^.+\\nusage: ${name} .*\\n$`))])
    }
  },
)

test.each([
  ['that is missing', '/nonexistent/rules.yaml', /no such file/],
  ['that is wrong', temporaryFile('rules.yaml', '- { email: ada@example.com }'), /rule 1: user is missing\n$/],
])('a file of rules %s is told in one line', async (_name, rules, message) => {
  const { status, stderr } = await plugin('certmap-file.js', '--rules', rules, '--socket', '/tmp/no.sock')
  expect(status).toBe(1)
  expect(stderr).toMatch(message)
  expect(stderr.split('\n')).toEqual([expect.stringMatching(/^\/.*rules\.yaml: /), ''])
})
