import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { type Child, run, startChild } from '../support/children.ts'
import { temporaryFolder } from '../support/folder.ts'
import { PROJECT } from '../support/gateway.ts'
import { describeWith } from '../support/peers.ts'
import { waitFor } from '../support/wait.ts'

/** The commands that the demo printed. A line that ends in a backslash goes on in the next. */
function commands(output: string): string[] {
  return output
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.trim().replace(/^\$ /, ''))
    .filter((line) => line.startsWith('curl '))
}

async function startDemo(cwd: string): Promise<Child> {
  const child = startChild(process.execPath, [join(PROJECT, 'bin', 'sallyport.js'), 'demo'], {
    cwd,
    env: { SALLYPORT_LISTEN: '127.0.0.1:0', SALLYPORT_ADMIN_LISTEN: 'off' },
  })
  await waitFor('the printed commands', () => !child.running || commands(child.stdout).length >= 2, 20)
  return child
}

describeWith(['curl', 'sh'], 'sallyport demo', () => {
  test('with a certificate, without one, and what the API saw', async () => {
    const folder = temporaryFolder()
    const demo = await startDemo(folder)
    expect(demo.stderr).toBe('')
    const outputs: string[] = []
    for (const command of commands(demo.stdout)) {
      const { status, stdout, stderr } = await run('sh', ['-c', command], { cwd: folder })
      expect([command, status, stderr]).toEqual([command, 0, expect.anything()])
      outputs.push(stdout)
    }
    const all = outputs.join('\n')
    expect(all).toMatch(/SUCCESS/)
    expect(all).toMatch(/NONE/)
    expect(all).toMatch(/CN=/)
    expect((await demo.stop()).status).toBe(0)
  })

  test('a second start takes the certificates that are there', async () => {
    const folder = temporaryFolder()
    await (await startDemo(folder)).stop()
    const copy = temporaryFolder()
    cpSync(folder, copy, { recursive: true })
    await (await startDemo(folder)).stop()
    expect((await run('diff', ['-r', folder, copy])).stdout).toBe('')
  })
})
