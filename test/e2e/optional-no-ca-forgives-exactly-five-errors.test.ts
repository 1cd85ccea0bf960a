import { beforeAll, describe, expect, test } from '@jest/globals'
import type { Answer } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { authority, type Issued, selfSigned } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  const ssl_crl = scene.clients.crl([revoked()])
  gateway = await scene.start(
    listenerOf(
      scene.server({ server_names: ['localhost'], ssl_verify_client: 'optional_no_ca' }),
      scene.server({ server_names: ['crl.test'], ssl_verify_client: 'optional_no_ca', ssl_crl }),
    ),
  )
})

let revokedOne: Issued | undefined
function revoked(): Issued {
  revokedOne ??= scene.clients.client('revoked')
  return revokedOne
}

function get(as: Issued, host = 'localhost'): Promise<Answer> {
  return gateway.get('/', { as, host })
}

const strangers = authority('strangers')
const intermediate = strangers.authority('intermediate')

describe('forgives', () => {
  test.each<[what: string, reason: string, certificate: () => Issued]>([
    ['a self-signed certificate', 'self-signed certificate', () => selfSigned('self')],
    [
      'a chain up to an unknown root that the client sends along',
      'self-signed certificate in certificate chain',
      () => withRoot(strangers.client('rooted')),
    ],
    [
      'a chain whose last issuer is unknown',
      'unable to get local issuer certificate',
      () => intermediate.client('chained'),
    ],
    [
      'a lone certificate of an unknown issuer',
      'unable to verify the first certificate',
      () => strangers.client('lone'),
    ],
  ])('%s', async (_what, reason, certificate) => {
    const as = certificate()
    const answer = await get(as)
    expect(answer.status).toBe(200)
    expect(scene.backend.last.header('VERIFIED')).toEqual([`FAILED:${reason}`])
    expect(scene.backend.last.header('DN')).toEqual([`CN=${as.name}`])
  })
})

describe('does not forgive', () => {
  test.each<[what: string, reason: string | RegExp, certificate: () => Issued, host: string]>([
    [
      'an expired one',
      'certificate has expired',
      () => scene.clients.client('old', { validFrom: -9, validUntil: -1 }),
      'localhost',
    ],
    [
      'one of the future',
      /^certificate is not yet valid/,
      () => scene.clients.client('young', { validFrom: 1 }),
      'localhost',
    ],
    [
      'one for servers only',
      'unsuitable certificate purpose',
      () => scene.clients.client('server', { purposes: ['serverAuth'] }),
      'localhost',
    ],
    ['a revoked one', 'certificate revoked', revoked, 'crl.test'],
    [
      'an expired one of an unknown CA',
      'certificate has expired',
      () => strangers.client('both', { validFrom: -9, validUntil: -1 }),
      'localhost',
    ],
  ])('%s', async (_what, reason, certificate, host) => {
    scene.backend.reset()
    const answer = await get(certificate(), host)
    expect(answer.status).toBe(400)
    expect(await gateway.line(answer)).toMatchObject({ verify_reason: expect.stringMatching(reason) })
    expect(scene.backend.seen).toEqual([])
  })
})

/** The client sends its root as well, which servers must not trust for that. */
function withRoot(issued: Issued): Issued {
  return Object.assign(Object.create(issued) as Issued, { chain: issued.chain + strangers.certificate })
}
