import { execFileSync } from 'node:child_process'
import { expect, test } from '@jest/globals'
import { CLOUD, identityService, passwordOf } from '../support/identity.ts'
import { makeScene } from '../support/scene.ts'

test('after five wrong passwords the right one must wait too, and others need not', async () => {
  const scene = await makeScene()
  const hash = execFileSync('openssl', ['passwd', '-6', 'right'], { encoding: 'utf8' }).trim()
  const login = (username: string) => ({ username, basicauth_credentials: [{ username, password: hash }] })
  const gateway = await scene.start({
    auth: { lockout: { backoff: '60s' } },
    consumers: [login('ada'), login('bob')],
    services: [
      { name: 'api', url: scene.backend.url, rules: [['password']], routes: [{ name: 'everything', paths: ['/'] }] },
    ],
  })
  const log = (name: string, password: string) =>
    gateway.get('/', { headers: { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` } })

  const guesses = await Promise.all(Array.from({ length: 12 }, (_, i) => log('ada', `guess ${i}`)))
  expect(guesses.map(({ status }) => status)).toEqual(Array(12).fill(401))
  expect(guesses.filter(({ headers }) => headers['retry-after'] !== undefined)).toHaveLength(7)

  const locked = await log('ada', 'right')
  expect([locked.status, Number(locked.headers['retry-after']) > 30]).toEqual([401, true])
  expect((await gateway.line(locked)).detail).toBe('password: too many attempts for "ada"')
  expect((await log('bob', 'right')).status).toBe(200)
  expect(scene.backend.seen).toHaveLength(1)
})

test('at the Identity API a name that is not there is slowed down as one that is, for itself, in all workers together', async () => {
  const scene = await makeScene()
  const gateway = await scene.start({
    ...{ ...CLOUD, workers: 2, services: [identityService(['/'])] },
    auth: { methods: ['password', 'totp'], lockout: { backoff: '60s' } },
  })
  const attempt = async (method: 'password' | 'totp', user: object) => {
    const body = JSON.stringify({ auth: { identity: { methods: [method], [method]: { user } } } })
    const answer = await gateway.get('/v3/auth/tokens', { method: 'POST', body })
    return [answer.status, answer.headers['retry-after'] !== undefined]
  }
  const domain = { id: 'default' }
  const guess = {
    password: (name: string) => (passwordOf(name, 'wrong') as { user: object }).user,
    totp: (name: string) => ({ name, domain, passcode: '000000' }),
  }
  for (const method of ['password', 'totp'] as const) {
    for (const name of ['ada', 'stranger', 'another']) {
      const answers = []
      for (let i = 0; i < 6; i++) answers.push(await attempt(method, guess[method](name)))
      expect([name, ...answers]).toEqual([name, ...Array(5).fill([401, false]), [401, true]])
    }
  }
})

test('in which other domain or way a name is tried next does not show whether it is there', async () => {
  const scene = await makeScene()
  const { consumers, ...cloud } = CLOUD
  const gateway = await scene.start({
    ...{ ...cloud, consumers: [...consumers, { id: 'u-robot', username: 'robot' }] },
    auth: { lockout: { attempts: 2, backoff: '60s' } },
    services: [
      identityService(['/identity']),
      { name: 'api', url: scene.backend.url, rules: [['password']], routes: [{ name: 'api', paths: ['/api'] }] },
    ],
  })
  const inDomain = (id: string) => async (name: string) => {
    const user = { name, domain: { id }, password: 'wrong' }
    const body = JSON.stringify({ auth: { identity: { methods: ['password'], password: { user } } } })
    return gateway.get('/identity/v3/auth/tokens', { method: 'POST', body })
  }
  const atRoute = (name: string) =>
    gateway.get('/api', { headers: { authorization: `Basic ${Buffer.from(`${name}:wrong`).toString('base64')}` } })
  const ways = [inDomain('default'), inDomain('none'), atRoute]
  const seen = new Map<string, readonly boolean[]>()
  // A user, one who has no password, and nobody.
  for (const name of ['ada', 'robot', 'nobody']) {
    for (let i = 0; i < 3; i++) await inDomain('default')(name)
    const answers = await Promise.all(ways.map((ask) => ask(name)))
    seen.set(
      name,
      answers.map(({ headers }) => headers['retry-after'] !== undefined),
    )
  }
  const same = [true, true, true]
  expect(Object.fromEntries(seen)).toEqual({ ada: same, robot: same, nobody: same })
})

test('the right password of a user opens nothing under the name of another domain', async () => {
  const scene = await makeScene()
  const gateway = await scene.start({ ...CLOUD, services: [identityService(['/'])] })
  const statusIn = async (id: string) => {
    const user = { name: 'ada', domain: { id }, password: 'password of ada' }
    const body = JSON.stringify({ auth: { identity: { methods: ['password'], password: { user } } } })
    return (await gateway.get('/v3/auth/tokens', { method: 'POST', body })).status
  }
  expect([await statusIn('none'), await statusIn('default')]).toEqual([401, 201])
})

test('what a client wants to log in to is looked at once it is known who it is: no attempt is answered ahead of that', async () => {
  const scene = await makeScene()
  const gateway = await scene.start({
    ...{ ...CLOUD, services: [identityService(['/'])] },
    auth: { lockout: { attempts: 1, backoff: '60s' } },
  })
  const scopes = [
    { project: { id: 'p-none' } },
    { project: { name: 'demo', domain: { id: 'none' } } },
    { domain: { id: 'none' } },
  ]
  const attempt = (user: object, scope: object) =>
    gateway.get('/v3/auth/tokens', {
      method: 'POST',
      body: JSON.stringify({ auth: { identity: { methods: ['password'], password: { user } }, scope } }),
    })
  for (const [i, scope] of scopes.entries()) {
    const user = { name: `stranger ${i}`, domain: { id: 'default' }, password: 'x' }
    await attempt(user, scope)
    expect((await attempt(user, scope)).headers['retry-after']).toBeDefined()
    const known = await attempt({ id: 'u-ada', password: 'password of ada' }, scope)
    expect([known.status, known.headers['retry-after']]).toEqual([401, undefined])
  }
  const elsewhere = { name: 'ada', domain: { id: 'none' }, password: 'wrong' }
  expect((await attempt(elsewhere, { project: { id: 'p-demo' } })).status).toBe(401)
  expect((await attempt(elsewhere, { project: { id: 'p-demo' } })).headers['retry-after']).toBeDefined()
})
