import { beforeAll, describe, expect, test } from '@jest/globals'
import type { Answer } from '../support/client.ts'
import { json } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { authority, type Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  const modes = ['off', 'optional', 'on', 'optional_no_ca']
  const servers = modes.map((mode) =>
    scene.server({ server_names: [`${mode.replaceAll('_', '-')}.test`], ssl_verify_client: mode }),
  )
  gateway = await scene.start(listenerOf(...servers))
})

const stranger = authority('strangers').client('mallory')

function get(mode: string, as?: Issued): Promise<Answer> {
  return gateway.get('/', { host: `${mode}.test`, ...(as && { as }) })
}

/** VERIFIED and DN as the backend saw them. */
function identity(answer: Answer): [verified: string[], dn: string[]] {
  expect(answer.status).toBe(200)
  const { headers } = json<{ headers: [string, string][] }>(answer)
  const all = (wanted: string) => headers.filter(([name]) => name === wanted).map(([, value]) => value)
  return [all('VERIFIED'), all('DN')]
}

describe('ssl_verify_client off', () => {
  test('asks for no certificate, so the backend sees NONE whatever the client has', async () => {
    expect(identity(await get('off'))).toEqual([['NONE'], []])
    expect(identity(await get('off', scene.ada))).toEqual([['NONE'], []])
    expect(identity(await get('off', stranger))).toEqual([['NONE'], []])
  })
})

describe('ssl_verify_client optional', () => {
  test('lets clients without a certificate in as NONE', async () => {
    expect(identity(await get('optional'))).toEqual([['NONE'], []])
  })
  test('tells the backend who a client with a trusted certificate is', async () => {
    expect(identity(await get('optional', scene.ada))).toEqual([['SUCCESS'], ['CN=ada']])
  })
  test('refuses a certificate of an unknown CA with 400', async () => {
    const answer = await get('optional', stranger)
    expect(answer.status).toBe(400)
    expect(json(answer)).toMatchObject({ code: 'GW_CLIENT_CERTIFICATE_INVALID', message: 'The SSL certificate error' })
  })
})

describe('ssl_verify_client on', () => {
  test('refuses clients without a certificate with 400', async () => {
    const answer = await get('on')
    expect(answer.status).toBe(400)
    expect(json(answer)).toMatchObject({
      code: 'GW_CLIENT_CERTIFICATE_REQUIRED',
      message: 'No required SSL certificate was sent',
    })
  })
  test('tells them, and the log, that a certificate may have been kept back, as many programs do with one of an authority that is not announced', async () => {
    const answer = await get('on')
    expect(json(answer)).toMatchObject({ remedy: expect.stringContaining('with its intermediates') })
    expect((await gateway.line(answer)).detail).toMatch(/sees no way .* to the authorities .*ssl_client_certificate/)
  })
  test('lets clients with a trusted certificate in', async () => {
    expect(identity(await get('on', scene.ada))).toEqual([['SUCCESS'], ['CN=ada']])
  })
  test('refuses a certificate of an unknown CA with 400', async () => {
    const answer = await get('on', stranger)
    expect(answer.status).toBe(400)
    expect(json(answer)).toMatchObject({ code: 'GW_CLIENT_CERTIFICATE_INVALID' })
  })
})

describe('ssl_verify_client optional_no_ca', () => {
  test('lets clients without a certificate in as NONE', async () => {
    expect(identity(await get('optional-no-ca'))).toEqual([['NONE'], []])
  })
  test('lets a certificate of an unknown CA in, and tells the backend that it failed', async () => {
    const failed = 'FAILED:unable to verify the first certificate'
    expect(identity(await get('optional-no-ca', stranger))).toEqual([[failed], ['CN=mallory']])
  })
  test('says SUCCESS where the CA is known', async () => {
    expect(identity(await get('optional-no-ca', scene.ada))).toEqual([['SUCCESS'], ['CN=ada']])
  })
})

test('nothing of a refused request reaches the backend', async () => {
  scene.backend.reset()
  await get('on')
  await get('on', stranger)
  await get('optional', stranger)
  expect(scene.backend.seen).toEqual([])
})
