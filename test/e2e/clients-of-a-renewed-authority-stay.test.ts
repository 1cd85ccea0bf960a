// An authority is renewed with its key, and both forms are trusted until the old one is over: from then on its clients are judged by the new one, without a new handshake.
import { createPublicKey } from 'node:crypto'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { temporaryFolder } from '../support/folder.ts'
import { sClient } from '../support/openssl.ts'
import { describeWith } from '../support/peers.ts'
import { authority } from '../support/pki.ts'
import { listenerOf, makeScene } from '../support/scene.ts'
import { pause, waitFor } from '../support/wait.ts'

const UPGRADED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
const LIFE = 6000

describeWith(['openssl'], 'an authority that was renewed', () => {
  test('keeps its clients when its old form is over: on open connections, in streams, in sessions, and through a load balancer', async () => {
    const scene = await makeScene()
    scene.backend.upgrade = (_request, socket) => socket.on('error', () => {}).write(`${UPGRADED}hello`)
    const keysOf = ({ privateKey }: typeof scene.clients) => ({ privateKey, publicKey: createPublicKey(privateKey) })
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
