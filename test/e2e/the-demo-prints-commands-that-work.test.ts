import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { type Child, run, startChild } from '../support/children.ts'
import { temporaryFolder } from '../support/folder.ts'
import { PROJECT, sallyport } from '../support/gateway.ts'
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

async function startDemo(cwd: string, env: Record<string, string> = {}): Promise<Child> {
  const child = startChild(process.execPath, [join(PROJECT, 'bin', 'sallyport.js'), 'demo'], {
    cwd,
    env: { SALLYPORT_LISTEN: '127.0.0.1:0', SALLYPORT_ADMIN_LISTEN: 'off', ...env },
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

  test('each command does what is printed above it', async () => {
    const folder = temporaryFolder()
    const demo = await startDemo(folder)
    const answers = new Map<string, string>()
    for (const paragraph of demo.stdout.split('\n\n')) {
      const [title = '', command = ''] = paragraph.trim().split('\n  ')
      if (!command.startsWith('curl ')) continue
      answers.set(title.replace(/[:,].*/, ''), (await run('sh', ['-c', command], { cwd: folder })).stdout)
    }
    const seen = (title: string) => JSON.parse(answers.get(title) ?? '{}')
    expect(seen('With a certificate')).toMatchObject({
      VERIFIED: 'SUCCESS',
      DN: 'CN=ada',
      'gateway showed': 'CN=gateway',
    })
    expect(seen('Without one')).toMatchObject({ VERIFIED: 'NONE', DN: null })
    expect(seen('With a revoked one')).toMatchObject({ code: 'GW_CLIENT_CERTIFICATE_INVALID' })
    expect(seen('Pretending to be somebody')).toMatchObject({ VERIFIED: 'NONE', DN: null })
    await waitFor('the log of the refusal', () => demo.stdout.includes('"verify_reason":"certificate revoked"'))
    await demo.stop('SIGINT')
  })

  test('what it does not read of the environment is told', async () => {
    const demo = await startDemo(temporaryFolder(), {
      SALLYPORT_UPSTREAM_URL: 'http://x',
      SECRET_CLIENT_KEY: 'hunter2',
    })
    await waitFor('the word about it', () => demo.stderr.includes('\n'))
    expect(demo.stderr).toBe(
      'Not read here: SALLYPORT_UPSTREAM_URL, SECRET_CLIENT_KEY. "sallyport run" reads them.\n\n',
    )
    await demo.stop()
  })

  test('the API behind it takes nobody but the gateway', async () => {
    const folder = temporaryFolder()
    const demo = await startDemo(folder)
    const [, curl = ''] = /^ +(curl .*client\.key) /m.exec(demo.stdout) ?? []
    const target = async () => {
      await run('sh', ['-c', commands(demo.stdout)[0] ?? ''], { cwd: folder })
      return /"target":"([^"]+)"/.exec(demo.stdout)?.[1]
    }
    const api = await waitFor('the address of the API in the log', target)
    const direct = await run('sh', ['-c', `${curl} -H 'DN: CN=root' https://${api}/`], { cwd: folder })
    expect(direct.stdout).toContain('CN=gateway only')
    const without = await run('sh', ['-c', `curl --cacert certs/ca.crt https://${api}/`], { cwd: folder })
    expect(without.status).not.toBe(0)
  })

  test('a port that is taken is told with the remedy', async () => {
    const folder = temporaryFolder()
    const first = await startDemo(folder)
    const port = /https:\/\/localhost:(\d+)/.exec(first.stdout)?.[1]
    const second = await sallyport(['demo'], { cwd: folder, env: { SALLYPORT_LISTEN: `127.0.0.1:${port}` } })
    expect(second.status).toBe(1)
    expect(second.stderr).toContain('EADDRINUSE')
    expect(second.stderr).toContain('SALLYPORT_LISTEN=')
  })

  test('the environment of the user does not leak into it', async () => {
    const folder = temporaryFolder()
    const demo = startChild(process.execPath, [join(PROJECT, 'bin', 'sallyport.js'), 'demo'], {
      cwd: folder,
      env: {
        SALLYPORT_LISTEN: '127.0.0.1:0',
        SECRET_CLIENT_KEY: 'not a key',
        SALLYPORT_UPSTREAM_URL: 'http://192.0.2.1',
      },
    })
    await waitFor('the printed commands', () => !demo.running || commands(demo.stdout).length >= 2, 20)
    const { stdout } = await run('sh', ['-c', commands(demo.stdout)[0] ?? ''], { cwd: folder })
    expect(JSON.parse(stdout)).toMatchObject({ 'gateway showed': 'CN=gateway' })
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
