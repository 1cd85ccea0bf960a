import { X509Certificate } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import type { Issued } from '../support/pki.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
let ada: Issued
let ours: string

const configFor = (mode: string) =>
  scene.config({ trusted_ips: ['127.0.0.1'], identity_presets: ['envoy'], forward_client_cert_details: mode })

beforeAll(async () => {
  scene = await makeScene()
  // Envoy would write the URI as it is, so that it began another pair and another element.
  ada = scene.clients.client('ada', { uris: ['spiffe://td/ada', 'spiffe://td/a;By=x,Hash=y'] })
  const hash = new X509Certificate(ada.certificate).fingerprint256.replaceAll(':', '').toLowerCase()
  ours = `Hash=${hash};Subject="CN=ada";URI=spiffe://td/ada;URI="spiffe://td/a;By=x,Hash=y"`
  gateway = await scene.start(configFor('SANITIZE'))
})

const THEIRS = 'Hash=aa;URI=spiffe://td/client'

/** The lines that reach the backend from a trusted proxy. */
async function told(as: Issued | undefined, sent: string | undefined): Promise<string[]> {
  const headers = sent === undefined ? {} : { 'X-Forwarded-Client-Cert': sent }
  expect((await gateway.get('/', { headers, ...(as && { as }) })).status).toBe(200)
  return scene.backend.last.header('X-Forwarded-Client-Cert')
}

describe.each<[string, () => string[][]]>([
  // with a certificate and a header, with a certificate alone, with a header alone
  ['SANITIZE', () => [[], [], []]],
  ['FORWARD_ONLY', () => [[THEIRS], [], []]],
  ['APPEND_FORWARD', () => [[`${THEIRS},${ours}`], [ours], []]],
  ['SANITIZE_SET', () => [[ours], [ours], []]],
  ['ALWAYS_FORWARD_ONLY', () => [[THEIRS], [], [THEIRS]]],
])('%s', (mode, expected) => {
  test('writes one line or none', async () => {
    expect(await gateway.reload(configFor(mode))).toMatchObject({ msg: 'reloaded' })
    const lines = [await told(ada, THEIRS), await told(ada, undefined), await told(undefined, THEIRS)]
    expect(lines).toEqual(expected())
    expect(await told(undefined, undefined)).toEqual([])
  })
})
