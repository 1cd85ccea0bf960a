// Of ten thousand names some certificate is renewed every few minutes. That is no reason for a full handshake, neither by its own name nor by any other.
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { temporaryFolder } from '../support/folder.ts'
import { sClient } from '../support/openssl.ts'
import { describeWith } from '../support/peers.ts'
import type { Issued } from '../support/pki.ts'
import { makeScene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

const names = ['one.test', 'two.test'] as const
type Shown = Readonly<Record<(typeof names)[number], Issued>>

describeWith(['openssl'], 'sessions outlive a server certificate that is renewed', () => {
  test.each([
    ['tls1_2', 1],
    ['tls1_2', 2],
    ['tls1_3', 1],
    ['tls1_3', 2],
  ] as const)('%s, workers: %i', async (tls, workers) => {
    const scene = await makeScene()
    const server = scene.server({ server_names: names, ssl_certificate: undefined, ssl_certificate_key: undefined })
    const configWith = (shown: Shown) => ({
      ...{ workers, listeners: [{ listen: '127.0.0.1:0', servers: [server] }] },
      certificates: names.map((name) => ({ cert: shown[name].chain, key: shown[name].key, snis: [{ name }] })),
    })
    const [first, second, renewed] = [...names, names[1]].map((name) => scene.servers.server(name))
    const before = { 'one.test': first, 'two.test': second } as Shown
    const gateway = await scene.start(configWith(before))
    const ada = scene.ada.files()
    const connect = async (servername: string, session: { keep: string } | { resume: string }) => {
      const request = `GET / HTTP/1.1\r\nHost: ${servername}\r\nConnection: close\r\n\r\n`
      const as = 'keep' in session ? { as: ada } : {}
      const { resumed, output } = await sClient({ port: gateway.port, tls, servername, request, ...as, ...session })
      return { resumed, shown: certificateIn(output) }
    }
    const newSession = () => join(temporaryFolder(), 'session.pem')
    const sessions = new Map(names.map((name) => [name, newSession()]))
    for (const [name, keep] of sessions)
      expect(await connect(name, { keep })).toEqual({ resumed: false, shown: onOneLine(before[name].certificate) })

    await gateway.reload(scene.config(configWith({ ...before, 'two.test': renewed } as Shown)))
    await waitFor('all workers', () => {
      const reloaded = gateway.log.filter(({ msg }) => msg === 'reloaded')
      return new Set(reloaded.map(({ worker }) => worker)).size === workers
    })
    for (const [name, resume] of sessions) expect(await connect(name, { resume })).toMatchObject({ resumed: true })
    expect(scene.backend.seen.flatMap((seen) => seen.header('DN'))).toEqual(Array.from({ length: 4 }, () => 'CN=ada'))
    const anew = await connect('two.test', { keep: newSession() })
    expect(anew).toEqual({ resumed: false, shown: onOneLine(renewed?.certificate ?? '') })
  })
})

function certificateIn(output: string): string {
  const [found = ''] = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(output) ?? []
  return onOneLine(found)
}

function onOneLine(pem: string): string {
  return pem.replaceAll(/\s/g, '')
}
