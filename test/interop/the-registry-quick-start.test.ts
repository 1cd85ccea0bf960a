// docs/registry.md: the first commands, as printed; only ports are replaced.
import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { run } from '../support/children.ts'
import { temporaryFolder } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import { PROJECT } from '../support/gateway.ts'
import { describeWith } from '../support/peers.ts'

describeWith(['docker-registry', 'curl'], 'the quick start of docs/registry.md', () => {
  test('works as printed', async () => {
    const [https, registry, admin] = [await freePort(), await freePort(), await freePort()]
    const withPorts = (text: string) => text.replaceAll('8443', `${https}`).replaceAll('5000', `${registry}`)
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'bin'))
    cpSync(join(PROJECT, 'conf/examples'), join(folder, 'conf/examples'), { recursive: true })
    const example = join(folder, 'conf/examples/registry.yaml')
    writeFileSync(example, withPorts(readFileSync(example, 'utf8')))
    const program = `exec ${process.execPath} ${join(PROJECT, 'bin/sallyport.js')} "$@"`
    writeFileSync(join(folder, 'bin/sallyport'), `#!/bin/sh\n${program}\n`)
    chmodSync(join(folder, 'bin/sallyport'), 0o755)

    const [, printed = ''] = /```sh\n([\s\S]*?)```/.exec(readFileSync(join(PROJECT, 'docs/registry.md'), 'utf8')) ?? []
    expect(printed.trim().split('\n')).toHaveLength(5)
    const [before, after] = withPorts(printed).split(/(?=^docker-registry)/m)
    const edit = `sed -i 's/127.0.0.1:5000/127.0.0.1:${registry}/' config.yml`
    const script = `${before}\n${edit}\n${after}\nstatus=$?; kill $(jobs -p); exit $status\n`
    const { status, stdout, stderr } = await run('bash', ['-c', script], {
      cwd: folder,
      env: { PATH: `${join(folder, 'bin')}:${process.env.PATH}`, SALLYPORT_ADMIN_LISTEN: `127.0.0.1:${admin}` },
    })
    expect([status, stdout, stderr]).toEqual([0, expect.stringContaining('{"repositories":[]}\n'), expect.any(String)])
  })
})
