import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { run, startChild } from '../support/children.ts'
import { temporaryFolder } from '../support/folder.ts'
import { PROJECT } from '../support/gateway.ts'
import { describeWith } from '../support/peers.ts'
import { authority } from '../support/pki.ts'
import { waitFor } from '../support/wait.ts'

const page = readFileSync(join(PROJECT, 'docs', 'plugins.md'), 'utf8')
const block = (start: string) => new RegExp(`\`\`\`\\w+\\n(${start}[\\s\\S]*?)\`\`\``).exec(page)?.[1] ?? ''

describeWith(['python3', 'curl', 'openssl'], 'docs/plugins.md', () => {
  test('the mapper in Python and the shell session work as printed', async () => {
    const folder = temporaryFolder()
    const ada = authority('ca').client('ada', { emails: ['ada@example.com'] })
    writeFileSync(join(folder, 'mapper.py'), block('# mapper\\.py'))
    writeFileSync(join(folder, 'client.crt'), ada.certificate)
    const socket = join(folder, 'mail.sock')
    const [start = '', ...session] = block('python3 mapper').replaceAll('/tmp/mail.sock', socket).split('\n')
    const plugin = startChild('sh', ['-c', `exec ${start.replace(/ &$/, '')}`], { cwd: folder })
    await waitFor('the plugin', async () => {
      const probe = await run('curl', ['-s', '--unix-socket', socket, '-X', 'POST', 'http://plugin/Plugin.Activate'])
      return probe.status === 0
    })
    const { stdout } = await run('bash', ['-c', session.join('\n')], { cwd: folder })
    expect(stdout).toBe(
      '{"Implements": ["ClientCertificateMapper"]}{"AuthedUser": {"Name": "ada@example.com", "Groups": ["mail"]}}',
    )
    await plugin.stop()
  })
})
