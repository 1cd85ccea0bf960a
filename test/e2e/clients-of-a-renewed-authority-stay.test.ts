// An authority is renewed with its key, and both forms are trusted until the old one is over or taken away: from then on its clients are judged by the new one, without a new handshake.
import { createPublicKey } from 'node:crypto'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { temporaryFolder } from '../support/folder.ts'
import { sClient } from '../support/openssl.ts'
import { describeWith } from '../support/peers.ts'
import { authority, type Issued } from '../support/pki.ts'
import { listenerOf, makeScene } from '../support/scene.ts'
import { pause, waitFor, within } from '../support/wait.ts'

const UPGRADED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
const LIFE = 12_000

const keysOf = ({ privateKey }: Issued) => ({ privateKey, publicKey: createPublicKey(privateKey) })

describeWith(['openssl'], 'an authority that was renewed', () => {
  test('keeps its clients when its old form is over: on open connections, in streams, in sessions, and through a load balancer', async () => {
    const scene = await makeScene()
    scene.backend.upgrade = (_request, socket) => socket.on('error', () => {}).write(`${UPGRADED}hello`)
    const renewed = authority('root')
    const old = authority('root', { keys: keysOf(renewed), validUntil: LIFE / 86_400_000 })
    const isOver = () => Date.now() > old.x509.validToDate.getTime()
    const ada = old.client('ada')
    const trust = { ssl_client_certificate: old.certificate + renewed.certificate, ssl_crl: renewed.crl() }
    const gateway = await scene.start({
      ...listenerOf(
        scene.server({ ...trust, ssl_verify_client: 'on' }),
        scene.server({ ...trust, server_names: ['header.test'], certificate_header_format: 'rfc9440' }),
      ),
      trusted_ips: ['127.0.0.1'],
    })

    const asAda = `GET / HTTP/1.1\r\nHost: header.test\r\nClient-Cert: :${ada.der.toString('base64')}:\r\n`
    const [kept, stream] = [await gateway.open({ as: ada }), await gateway.open({ as: ada })]
    const balancer = { servername: 'header.test' }
    const [balanced, balancedStream] = [await gateway.open(balancer), await gateway.open(balancer)]
    const ask = () => {
      kept.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
      balanced.write(`${asAda}\r\n`)
    }
    ask()
    stream.write(`GET / HTTP/1.1\r\nHost: localhost\r\n${UPGRADE}\r\n`)
    balancedStream.write(`${asAda}${UPGRADE}\r\n`)
    const sessions = await Promise.all(
      (['tls1_2', 'tls1_3'] as const).map(async (tls) => {
        const file = join(temporaryFolder(), 'session.pem')
        const request = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
        const options = { port: gateway.port, tls, servername: 'localhost', request }
        const { answers } = await sClient({ ...options, as: ada.files(), keep: file })
        expect(answers[0]?.status).toBe(200)
        return () => sClient({ ...options, resume: file })
      }),
    )
    await waitFor('the streams', () => [stream, balancedStream].every(({ received }) => received.includes('hello')))
    expect((await kept.answers(1))[0]?.status).toBe(200)
    expect((await balanced.answers(1))[0]?.status).toBe(200)
    expect(isOver()).toBe(false)

    await waitFor('the end of the old form', isOver)
    await pause(1200)
    ask()
    expect((await kept.answers(2))[1]?.status).toBe(200)
    expect((await balanced.answers(2))[1]?.status).toBe(200)
    for (const resume of sessions) {
      const { resumed, answers } = await resume()
      expect([resumed, answers[0]?.status]).toEqual([true, 200])
    }
    expect([stream, balancedStream].map(({ isClosed }) => isClosed)).toEqual([false, false])
    expect(gateway.log.filter(({ msg }) => msg === 'connection ended')).toEqual([])
    for (const client of [kept, stream, balanced, balancedStream]) client.destroy()
  })
})

test.each(['old', 'renewed'] as const)(
  'whoever came by one form of an authority stays when the %s one is taken away',
  async (gone) => {
    const scene = await makeScene()
    scene.backend.upgrade = (_request, socket) => socket.on('error', () => {}).write(`${UPGRADED}hello`)
    const old = authority('root')
    const renewed = authority('root', { keys: keysOf(old) })
    const others = authority('others')
    const department = old.authority('department')
    const trusting = (...trusted: readonly Issued[]) => {
      const ssl_client_certificate = trusted.map(({ certificate }) => certificate).join('')
      return listenerOf(scene.server({ ssl_client_certificate, ssl_verify_client: 'on' }))
    }
    const gateway = await scene.start(trusting(old, renewed, others))
    const open = async (as: Issued) => {
      const [kept, stream] = [await gateway.open({ as }), await gateway.open({ as })]
      kept.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
      expect((await kept.answers(1))[0]?.status).toBe(200)
      stream.write(`GET / HTTP/1.1\r\nHost: localhost\r\n${UPGRADE}\r\n`)
      await waitFor('the stream', () => stream.received.includes('hello'))
      return [kept, stream] as const
    }
    const staying = [await open(old.client('ada')), await open(department.client('bob'))]
    const leaving = await open(others.client('eve'))
    expect((await gateway.reload(scene.config(trusting(gone === 'old' ? renewed : old)))).msg).toBe('reloaded')
    await within(15, 'the end of the others', Promise.all(leaving.map(({ closed }) => closed)))
    for (const [kept] of staying) {
      kept.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
      expect((await kept.answers(2))[1]?.status).toBe(200)
    }
    expect(staying.flat().map(({ isClosed }) => isClosed)).toEqual([false, false, false, false])
    const ended = () => gateway.log.filter(({ msg }) => msg === 'connection ended').map(({ subject }) => subject)
    // Lines leave the process a moment after the connections.
    await waitFor('the lines of the others', () => ended().length >= leaving.length)
    expect(ended()).toEqual(['CN=eve', 'CN=eve'])
    for (const client of staying.flat()) client.destroy()
  },
)
