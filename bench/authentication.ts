/**
 * What each way to say who one is costs the thread that serves requests, in nanoseconds of CPU, and what a password costs the thread
 * that hashes: node bench/authentication.ts
 */
import { createChain, type Rule } from '../src/auth/chain.ts'
import { JwtIssuers } from '../src/auth/jwt-issuers.ts'
import { Lockout } from '../src/auth/lockout.ts'
import { createApiKeyMethod } from '../src/auth/methods/api-key.ts'
import { createPasswordMethod } from '../src/auth/methods/password.ts'
import { createTokenMethod } from '../src/auth/methods/token.ts'
import { PasswordCheck } from '../src/auth/passwords/check.ts'
import { ALGORITHMS, hashPassword, matches } from '../src/auth/passwords/hash.ts'
import { Hasher } from '../src/auth/passwords/hasher.ts'
import { createReceipts } from '../src/auth/receipts.ts'
import { MemoryStore } from '../src/store/memory.ts'
import { Revocations } from '../src/tokens/revocations.ts'
import { derivedKeys } from '../src/tokens/signing-keys.ts'
import { Tokens } from '../src/tokens/tokens.ts'
import type { AuthMethod, Caller, Outcome, User } from '../src/types.ts'
import { fakeConnection } from '../test/support/fake-connection.ts'

const REQUESTS = 200_000
const user: User = Object.freeze({ id: 'ada', name: 'ada', groups: [], customId: undefined })
const users = { byId: () => user, byName: () => user, isDisabled: () => false, isIdOfAnother: () => false }
const receipts = createReceipts({ key: Buffer.alloc(32), ttl: 300_000, users })

const accepted: Outcome = Object.freeze({ status: 'accepted', user })
const certificate: AuthMethod = { name: 'certificate', authenticate: () => accepted }
const keys = [{ user, key: 'key', credential: undefined }]
const apiKey = createApiKeyMethod({ realm: 'bench', keyNames: ['apikey'], inHeader: true, inQuery: true, keys })
const check = new PasswordCheck({
  kind: 'password',
  entries: new Map([['ada', { user, hash: hashPassword('secret', 'argon2id'), credential: undefined }]]),
  hasher: new Hasher({ threads: 1, queue: 10 }),
  lockout: new Lockout(new MemoryStore(1000), {
    attempts: 5,
    window: 900_000,
    backoff: 1000,
    maxBackoff: 300_000,
    key: Buffer.alloc(32),
  }),
  remember: 3_600_000,
})
const besideCertificate = { check, keyOf: () => undefined }
const password = createPasswordMethod({ check, realm: 'bench', loginOf: () => undefined, besideCertificate })

const HOUR = 3_600_000
const tokens = new Tokens({
  keys: derivedKeys({ secret: Buffer.alloc(32, 1), rotation: 24 * HOUR, lifetime: HOUR }),
  ...{ issuer: 'bench', revocations: new Revocations(new MemoryStore(1000)), cacheEntries: 1000, expiredWindow: 0 },
})
const connection = fakeConnection()
const issued = await tokens.issue({ sub: 'ada', methods: ['password'] }, Date.now() + HOUR, connection)
const issuers = new JwtIssuers([], users)
const token = createTokenMethod({ tokens, issuers, users, realm: 'bench', certificate, describe: () => ({}) })
const bytes = Buffer.from(issued.token)

const authorization = `Basic ${Buffer.from('ada:secret').toString('base64')}`
const caller = {
  request: { rawHeaders: ['Host', 'localhost', 'Accept', '*/*', 'Authorization', authorization, 'apikey', 'key'] },
  destination: { query: '?page=2&sort=name' },
  connection,
} as unknown as Caller
/** Each request has a string of its own, as the parser makes it. */
const withToken = () => ({
  ...caller,
  request: {
    rawHeaders: ['Host', 'localhost', 'Accept', '*/*', 'X-Auth-Token', bytes.toString('latin1')],
  } as Caller['request'],
})

async function measure(name: string, rules: readonly Rule[], next: () => Caller = () => caller): Promise<void> {
  const chain = createChain({
    rules,
    anonymous: false,
    receipts,
    certificate,
    methodNamed: () => undefined,
    multiFactor: () => [],
    describe: () => ({}),
  })
  await chain.authenticate(next())
  for (let i = 0; i < REQUESTS / 10; i++) chain.authenticate(next())
  const begin = process.cpuUsage()
  for (let i = 0; i < REQUESTS; i++) chain.authenticate(next())
  const { user: own, system } = process.cpuUsage(begin)
  console.log(`${name.padEnd(40)} ${(((own + system) * 1000) / REQUESTS).toFixed(0).padStart(6)} ns per request`)
}

// A thread that hashes keeps no process alive.
const awake = setInterval(() => {}, 1000)
await measure('certificate', [[certificate]])
await measure('certificate, the first of three rules', [[certificate], [password], [apiKey]])
await measure('api-key', [[apiKey]])
await measure('password that was right a moment ago', [[password]])
await measure('token that the connection has used before', [[token]], withToken)
clearInterval(awake)

for (const algorithm of ALGORITHMS) {
  const hash = hashPassword('secret', algorithm)
  const begin = process.cpuUsage()
  for (let i = 0; i < 5; i++) matches('secret', hash)
  const { user: own, system } = process.cpuUsage(begin)
  console.log(
    `${algorithm.padEnd(40)} ${((own + system) / 5000).toFixed(0).padStart(6)} ms per password, on its own thread`,
  )
}
