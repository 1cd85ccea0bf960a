// A new signing key, of either kind and with either form of kid: the real registry, whose bundle holds the CA, refuses no token before or after.
import { beforeAll, expect, test } from '@jest/globals'
import { decodeProtectedHeader } from 'jose'
import { ask, json } from '../support/client.ts'
import type { Issued } from '../support/pki.ts'
import { describeRegistry, HOST } from '../support/registry.ts'
import { makeRegistryScene, type RegistryScene } from '../support/registry-scene.ts'

describeRegistry('the keys of tokens', () => {
  const realm = { rules: [{ anonymous: true, repositories: ['public/**'] }] }
  let scene: RegistryScene

  beforeAll(async () => {
    scene = await makeRegistryScene({ mode: 'tokens', realm })
  })

  const token = async () => {
    const path = '/auth/token?service=registry.test&scope=repository:public/app:pull'
    return json<{ token: string }>(await scene.gateway.get(path, { host: `${HOST}:${scene.port}` })).token
  }
  /** 404: let in, and there is no such repository. */
  const accepted = async (each: string) => {
    const headers = { authorization: `Bearer ${each}` }
    return (await ask(scene.registry.port, '/v2/public/app/tags/list', { plain: true, headers })).status === 404
  }
  const configWith = (now: Issued, before: Issued[], settings: object) => ({
    ...scene.config({
      ...realm,
      certificate: 'now',
      previous_certificates: before.map((_, i) => `before${i}`),
      ...settings,
    }),
    certificates: [
      { name: 'now', cert: now.chain, key: now.key },
      ...before.map(({ chain, key }, i) => ({ name: `before${i}`, cert: chain, key })),
    ],
  })

  test('are exchanged without a refused token', async () => {
    const first = await token()
    expect(await accepted(first)).toBe(true)
    const rsa = scene.signing.client('rsa', { keyType: 'rsa' })
    await scene.gateway.reload(configWith(rsa, [], { key_id: 'rfc7638' }))
    const second = await token()
    expect(decodeProtectedHeader(second)).toMatchObject({ alg: 'RS256', kid: expect.stringMatching(/^[\w-]{43}$/) })
    const ec = scene.signing.authority('intermediate').client('ec')
    await scene.gateway.reload(configWith(ec, [rsa], {}))
    const third = await token()
    expect(decodeProtectedHeader(third)).toMatchObject({
      alg: 'ES256',
      kid: expect.stringMatching(/^([A-Z2-7]{4}:){11}/),
    })
    expect(decodeProtectedHeader(third).x5c).toHaveLength(2)
    for (const each of [first, second, third]) expect(await accepted(each)).toBe(true)
    const answer = await scene.gateway.get('/auth/jwks.json', { host: `${HOST}:${scene.port}` })
    expect(json<{ keys: object[] }>(answer).keys).toHaveLength(2)
  })

  test('a key that the registry does not know is refused by it, so what stands above means something', async () => {
    const { authority } = await import('../support/pki.ts')
    await scene.gateway.reload(configWith(authority('elsewhere').client('signer'), [], {}))
    expect(await accepted(await token())).toBe(false)
  })
})
