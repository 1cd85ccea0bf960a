// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what users write in a configuration.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { FILE_OF_NGINX } from '../../../src/config/foreign/from-nginx.ts'
import { loadConfig, loadConfigBeside } from '../../../src/config/index.ts'
import { describeProblem } from '../../../src/errors.ts'
import fc from '../../support/random.ts'
import { loadText, problemsOf, temporaryFolder, usable } from './support.ts'

const folder = temporaryFolder()
const problems = (yaml: string | Uint8Array) => problemsOf(folder, loadText(folder, yaml))

describe('what stands later wins', () => {
  test('defaults, file, environment, command line', () => {
    const file = join(folder, 'order.yaml')
    writeFileSync(file, 'log: { level: warn, access_log: off }\nadmin: { listen: 127.0.0.1:1 }')
    const config = usable(
      loadConfig({
        file,
        env: { SALLYPORT_LOG_LEVEL: 'error', SALLYPORT_ADMIN_LISTEN: '127.0.0.1:2' },
        overrides: { 'admin.listen': '127.0.0.1:3', 'listeners[0].listen': '127.0.0.1:0', 'log.level': undefined },
      }),
    )
    expect(config.log).toEqual({ level: 'error', access_log: false })
    expect(config.admin.listen).toEqual({ host: '127.0.0.1', port: 3 })
    expect(config.listeners[0]?.listen).toEqual({ host: '127.0.0.1', port: 0 })
    expect(config.shutdown).toEqual({ delay: 0, timeout: 30_000, keepalive_timeout: 2000 })
  })

  test("a flag that was not given takes nothing from NATS's tls block", () => {
    const yaml = 'listeners: [{ listen: 127.0.0.1:1, tls: { verify: true } }]'
    const file = join(folder, 'flags.yaml')
    writeFileSync(file, yaml)
    const verify = 'listeners[0].servers[0].ssl_verify_client'
    const modeWith = (value: string | undefined) => {
      const loaded = loadConfig({ file, env: {}, overrides: { [verify]: value } })
      const config = loaded.config ?? loaded.incomplete
      return config?.listeners[0]?.servers[0]?.ssl_verify_client
    }
    expect([modeWith(undefined), modeWith('optional')]).toEqual(['on', 'optional'])
  })

  test("nothing of NATS's tls block and of the listener where both set it: that is refused", () => {
    const yaml =
      'listeners: [{ listen: 127.0.0.1:1, connection_rate_limit: 5, tls: { timeout: 2, connection_rate_limit: 9 } }]'
    const loaded = loadText(folder, yaml, { SALLYPORT_HANDSHAKE_TIMEOUT: '3s' })
    const beside = 'stands beside listeners[0].tls, which sets it too; keep one of them'
    expect(problemsOf(folder, loaded)).toEqual([
      `test.yaml:1:36: listeners[0].connection_rate_limit: ${beside}`,
      `environment: SALLYPORT_HANDSHAKE_TIMEOUT: ${beside}`,
    ])
  })

  test('the named file, then SALLYPORT_CONFIG', () => {
    writeFileSync(join(folder, 'a.yaml'), 'log: { level: warn }')
    writeFileSync(join(folder, 'b.yaml'), 'log: { level: debug }')
    const env = { SALLYPORT_CONFIG: join(folder, 'b.yaml') }
    expect(usable(loadConfig({ env })).log.level).toBe('debug')
    expect(usable(loadConfig({ env, file: join(folder, 'a.yaml') })).log.level).toBe('warn')
    expect(loadConfig({ env }).file).toBe(join(folder, 'b.yaml'))
  })
})

describe('a file that cannot be used is refused with one clear problem', () => {
  test.each([
    ['missing', () => undefined, 'is not there (looked for FILE)'],
    ['a folder', (path: string) => mkdirSync(path), 'is no file; name a YAML file'],
    [
      'empty, as a full disk leaves it',
      (path: string) => writeFileSync(path, ''),
      'is empty; write its settings, or at least a comment',
    ],
    [
      'too large',
      (path: string) => writeFileSync(path, Buffer.alloc(64 * 1024 * 1024 + 1)),
      'is larger than 67108864 bytes',
    ],
    [
      'of blank lines',
      (path: string) => writeFileSync(path, '\n'.repeat(10_000_000)),
      'holds more than 2000000 lines; no configuration needs so many',
    ],
    [
      'not UTF-8',
      (path: string) => writeFileSync(path, Buffer.from([0x61, 0x3a, 0xff])),
      'is not UTF-8; save it in that encoding',
    ],
    [
      'UTF-16',
      (path: string) => writeFileSync(path, Buffer.from('\ufefflog:', 'utf16le')),
      'is not UTF-8; save it in that encoding',
    ],
    [
      'a scalar',
      (path: string) => writeFileSync(path, 'hello'),
      'holds no settings; expected lines such as "listeners:"',
    ],
    [
      "nginx's",
      (path: string) => writeFileSync(path, 'http {\n  server {\n    listen 443 ssl;\n  }\n}\n'),
      FILE_OF_NGINX,
    ],
  ])('%s', (name, make, message) => {
    const file = join(folder, `unusable ${name}`)
    make(file)
    const loaded = loadConfig({ file, env: {} })
    expect(loaded.config).toBeUndefined()
    expect(loaded.problems.map((each) => each.message)).toEqual([message.replace('FILE', file)])
    expect(loaded.problems[0]?.source).toBe(file)
    expect(loaded.files).toContain(file)
  })
})

test('a byte order mark is no part of the first key', () => {
  expect(usable(loadText(folder, '\ufefflog: { level: warn }')).log.level).toBe('warn')
})

describe('hostile YAML', () => {
  test('whose aliases multiply is bounded', () => {
    const levels = Array.from(
      { length: 12 },
      (_, i) =>
        `a${i}: &a${i} [${Array(10)
          .fill(i === 0 ? 'x' : `*a${i - 1}`)
          .join(', ')}]`,
    )
    expect(problems(levels.join('\n')).join()).toContain('more than 1000000 values once its aliases')
  })

  test('with tens of thousands of aliases does not take quadratic time', () => {
    const yaml = `log: &a { level: warn }\nx:\n${'  - *a\n'.repeat(40_000)}`
    expect(problems(yaml).join()).toContain('is no setting here')
  })

  test('whose aliases mean the last anchor before them', () => {
    const yaml = 'shutdown: { delay: &a 1s, timeout: *a, keepalive_timeout: &a 3s }'
    expect(usable(loadText(folder, yaml)).shutdown).toMatchObject({
      delay: 1000,
      timeout: 1000,
      keepalive_timeout: 3000,
    })
  })

  test('that is nested deeply, or within itself, is bounded', () => {
    expect(problems(`log: ${'['.repeat(100)}${']'.repeat(100)}`).join()).toContain('nested more than 64 deep')
    expect(problems(`log: ${'['.repeat(200_000)}`).join()).not.toBe('')
    expect(problems('log: &a\n  level: *a').join()).toMatch(/nested more than 64 deep|without an anchor/)
  })

  test('with a hundred thousand keys does not take quadratic time', () => {
    const costOf = (keys: number) => {
      const before = process.cpuUsage()
      const found = problems(Array.from({ length: keys }, (_, i) => `key${i}: 1`).join('\n'))
      expect(found).toHaveLength(501)
      expect(found.at(-1)).toBe(`and ${keys - 500} more`)
      return process.cpuUsage(before).user
    }
    costOf(10_000)
    // A tenth of the keys, warm: in quadratic time the whole would cost a hundred times as much.
    expect(costOf(100_000) / costOf(10_000)).toBeLessThan(50)
  })

  test("may be a dump of Kong's whose password is no text", () => {
    const credential = '{ username: ada, password: 5 }'
    const yaml = `_transform: false\nconsumers: [{ username: ada, basicauth_credentials: [${credential}] }]`
    expect(problems(yaml).join('\n')).toMatch(/basicauth_credentials\[0\]\.password: is a number/)
  })

  test.each([
    ['tokens: { secret: 31415926535897932384626433832795 }', 'tokens.secret: is a number without quotes'],
    ['auth: { receipt_secret: true }', 'auth.receipt_secret: is true or false without quotes'],
    ['proxy: { proxy_ssl_password: 1234 }', 'proxy.proxy_ssl_password: is a number without quotes'],
    ['consumers: [{ username: 7 }]', 'consumers[0].username: is a number without quotes'],
    ['auth: { realm: 0.5 }', 'auth.realm: is a number without quotes'],
    ['tokens: { secret: 31415926 }', 'tokens.secret: expected at least 32 characters'],
    ['store: { redis_url: 5 }', 'store.redis_url: expected a URL'],
    ['auth: { lockout: { attempts: 1.5 } }', 'auth.lockout.attempts: expected a whole number'],
  ])('what YAML takes for a number is told to be written in quotes where that would do: %s', (yaml, message) => {
    const [problem, ...others] = problems(yaml)
    expect(problem?.replace(/^\S+ /, '')).toContain(message)
    expect(problem).not.toMatch(/3141|1234/)
    expect(others).toEqual([])
  })

  test('cannot reach a prototype', () => {
    expect(problems('__proto__: { polluted: 1 }\nconstructor: 1').map((each) => each.replace(/;.*/, ''))).toEqual([
      'test.yaml:1:1: __proto__: is no setting here',
      'test.yaml:2:1: constructor: is no setting here',
    ])
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })

  test('with keys that are no text is refused', () => {
    expect(problems('? [a]\n: b').join()).toContain('a key that is no text')
    expect(problems('log: { ? : x }').join()).toContain('a key that is no text')
  })

  test('never has its text repeated by a syntax error, for it may be a key', () => {
    for (const yaml of [
      'log: "hunter2',
      'log: hunter2: x',
      '"hunter2" "hunter2"',
      '*hunter2 : x',
      '!hunter2 x',
      'a: |hunter2\n',
      '%hunter2 x\n---\n',
      '- hunter2\na: b',
      '@hunter2',
      'k: "\\hunter2"',
    ]) {
      const found = problems(yaml)
      expect(found).not.toEqual([])
      expect(found.join()).not.toContain('hunter2')
    }
  })
})

test('no text whatever makes loading throw', () => {
  const pieces = fc.constantFrom(
    'listeners:',
    '\n',
    '  ',
    '- ',
    '&a ',
    '*a',
    '{',
    '}',
    '[',
    ']',
    ': ',
    'servers',
    '"',
    "'",
    '${',
    '}',
    '|',
    '<<',
    '!!str ',
    'null',
    '1',
    '\t',
    '#',
    'services',
    'routes',
    '~',
  )
  const text = fc.oneof(
    fc.string(),
    fc.array(pieces, { maxLength: 30 }).map((each) => each.join('')),
  )
  fc.assert(
    fc.property(text, (yaml) => {
      const loaded = loadText(folder, yaml)
      expect(loaded.config === undefined).toBe(loaded.problems.length > 0)
    }),
    { numRuns: 300 },
  )
})

test('no value whatever in any place makes loading throw', () => {
  const places = [
    'listeners',
    'services',
    'routes',
    'upstreams',
    'targets',
    'certificates',
    'snis',
    'ca_certificates',
    'proxy',
    'admin',
    'log',
    'identity_headers',
    'trusted_ips',
  ]
  fc.assert(
    fc.property(fc.constantFrom(...places), fc.jsonValue(), (place, value) => {
      const loaded = loadText(folder, JSON.stringify({ [place]: value }).replaceAll('${', ''))
      expect(loaded.config === undefined).toBe(loaded.problems.length > 0)
    }),
    { numRuns: 300 },
  )
})

describe('verification of upstreams', () => {
  const verify = (service: string, proxy = '{}') =>
    usable(
      loadText(
        folder,
        `proxy: ${proxy}\nservices: [{ name: a, url: "https://a", ${service} }]\ncertificates: [{ cert: server.crt, key: server.key }]`,
      ),
    ).services[0]?.tls_verify

  test('is on unless a setting that begins with unsafe_ says otherwise', () => {
    expect(verify('')).toBe(true)
    expect(verify('tls_verify: null')).toBe(true)
    expect(verify('tls_verify: true')).toBe(true)
    expect(verify('unsafe_skip_verify: true')).toBe(false)
    expect(verify('unsafe_skip_verify: true, tls_verify: false')).toBe(false)
    expect(verify('', '{ unsafe_proxy_ssl_verify_off: on }')).toBe(false)
    expect(verify('tls_verify: true', '{ unsafe_proxy_ssl_verify_off: on }')).toBe(true)
  })

  test('is not turned off by tls_verify: false alone', () => {
    expect(problems('services: [{ url: "https://a", tls_verify: false }]').join()).toContain(
      'unsafe_skip_verify: true beside it',
    )
  })
})

describe('the certificate for a service', () => {
  const chosen = (service: string, upstream = '') =>
    usable(
      loadText(
        folder,
        `services: [{ name: s, protocol: https, host: u, ${service} }]
upstreams: [{ name: u, targets: [{ target: "a:1" }], ${upstream} }]
certificates:
  - { name: one, cert: server.crt, key: server.key }
  - { id: two, cert: server.crt, key: server.key }`,
      ),
    ).services[0]?.client_certificate

  test("is the service's, else the upstream's, else the gateway's own; none means none", () => {
    expect(chosen('')).toBe('default')
    expect(chosen('client_certificate: none', 'client_certificate: one')).toBe('none')
    expect(chosen('client_certificate: one', 'client_certificate: two')).toMatchObject({ name: 'one' })
    expect(chosen('client_certificate: { id: two }')).toMatchObject({ name: 'two' })
    expect(chosen('', 'client_certificate: two')).toMatchObject({ name: 'two' })
  })

  test('cannot be named none', () => {
    expect(problems('certificates: [{ name: none, cert: server.crt, key: server.key }]').join()).toContain(
      'choose another name',
    )
  })
})

test('a route beside its service has the rules of the service that it names, by name or id', () => {
  const yaml = `
services:
  - { name: a, id: id-of-a, url: 'http://127.0.0.1:1', rules: [[certificate]] }
  - { name: b, url: 'http://127.0.0.1:1' }
routes:
  - { name: by-name, service: a, paths: [/1], anonymous: true }
  - { name: by-id, service: id-of-a, paths: [/2], anonymous: true }
  - { name: without, service: b, paths: [/3], anonymous: true }`
  expect(problems(yaml).filter((line) => line.includes('anonymous'))).toEqual([
    'test.yaml:8:47: routes[2].anonymous: has no meaning without rules; add rules, or remove it',
  ])
})

test.each([
  ['by default', '', []],
  ['with https and http', 'protocols: [http, https], ', []],
  [
    'with http alone',
    'protocols: [http], ',
    ["test.yaml: services[0].routes[0].snis: can only be set where 'protocols' has https"],
  ],
])('a route may have snis as in Kong: %s', (_case, protocols, expected) => {
  const found = problems(`
services:
  - { name: a, url: http://a, routes: [{ name: r, ${protocols}snis: [a.test] }] }`)
  expect(found.filter((line) => line.includes('snis')).map((line) => line.replace(/:3:\d+/, ''))).toEqual(expected)
})

describe('addresses that cannot be listened on at the same time are refused', () => {
  const listening = (one: string, two: string, admin = 'off') =>
    problems(`listeners: [{ listen: "${one}" }, { listen: "${two}" }]\nadmin: { listen: "${admin}" }`).map((line) =>
      line.replace(/^test.yaml:\d+:\d+: /, ''),
    )
  const into = 'put the servers of both into one listener'

  test.each([
    ['*:8443', '127.0.0.1:8443', 'overlaps with 0.0.0.0:8443 of listeners[0]'],
    ['127.0.0.1:8443', '8443', 'overlaps with 127.0.0.1:8443 of listeners[0]'],
    ['[::]:8443', '[::1]:8443', 'overlaps with [::]:8443 of listeners[0]'],
    ['localhost:8443', 'localhost:8443', 'is the address of listeners[0] too'],
    ['unix:/run/a', 'unix:/run/a', 'is the address of listeners[0] too'],
  ])('%s and %s', (one, two, message) => {
    expect(listening(one, two)).toEqual([`listeners[1].listen: ${message}; ${into}`])
  })
  test.each([
    ['0.0.0.0:8443', '0.0.0.0:8444'],
    ['0.0.0.0:8443', '[::]:8443'],
    ['[::]:8443', '127.0.0.1:8443'],
    ['0.0.0.0:8443', '[::1]:8443'],
    ['127.0.0.1:8443', '127.0.0.2:8443'],
    ['0.0.0.0:0', '0.0.0.0:0'],
  ])('but not %s and %s', (one, two) => {
    expect(listening(one, two)).toEqual([])
  })
  test.each([
    ['0.0.0.0:9901', '127.0.0.1:9901', 'overlaps with 0.0.0.0:9901 of listeners[0]'],
    ['[::]:9901', '127.0.0.1:9901', 'overlaps with [::]:9901 of listeners[0]'],
    ['127.0.0.1:9901', '127.0.0.1:9901', 'is the address of listeners[0] too'],
  ])('%s and %s of the admin', (one, admin, message) => {
    expect(listening(one, '127.0.0.1:8443', admin)).toEqual([`admin.listen: ${message}; choose another port`])
  })
})

test('a second certificate, server name, target or listener of the same name is refused', () => {
  const found = problems(`
certificates:
  - { id: a, name: b, cert: server.crt, key: server.key, snis: [{ name: x.com }] }
  - { id: b, cert: server.crt, key: server.key, snis: [{ name: X.com }] }
upstreams: [{ name: u, targets: [{ target: a }, { target: "A:8000" }] }]
`)
  expect(found.map((each) => each.replace(/already.*/, ''))).toEqual([
    "test.yaml:4:7: certificates[1].id: uniqueness violation: 'certificates' entity with id set to 'b' ",
    "test.yaml:4:58: certificates[1].snis[0].name: uniqueness violation: 'snis' entity with name set to 'x.com' ",
    "test.yaml:5:49: upstreams[0].targets[1].name: uniqueness violation: 'targets' entity with name set to 'a:8000' ",
  ])
})

test('an entity may have its own id as its name', () => {
  expect(problems('certificates: [{ id: a, name: a, cert: server.crt, key: server.key }]')).toEqual([])
})

test.each([
  ['on', 1],
  ['optional', 1],
  ['optional_no_ca', 0],
  ['off', 0],
])('ssl_verify_client: %s without ssl_client_certificate makes %d problems, as in nginx', (mode, count) => {
  const found = problems(`listeners: [{ servers: [{ ssl_verify_client: ${mode} }] }]`)
  expect(found).toHaveLength(count)
  for (const each of found)
    expect(each).toContain('no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client')
})

test('identity headers must be header names of their own', () => {
  const found = problems(
    'identity_headers: { Host: verify, X-Forwarded-For: verify, x_forwarded_proto: verify, Connection: verify, "a b": verify, "X-A\\n": verify, X-Dn: subject_dn, x_dn: subject_dn, Ok: nothing }',
  )
  expect(found.map((each) => each.replace(/^[^ ]+ /, '').slice(0, 40))).toHaveLength(8)
  expect(problems('identity_headers: { X-Client-DN: subject_dn, X-Client-Verify: verify }')).toEqual([])
})

test('in a block of nginx an empty value is refused; in an entity of Kong null means not set', () => {
  expect(problems('listeners: [{ servers: [{ ssl_crl: }] }]').join()).toContain('ssl_crl: has no value')
  expect(problems('log:\nservices:\nroutes: null')).toEqual([])
})

test('a setting is located by its line, or by the line of what would hold it', () => {
  const loaded = loadText(
    folder,
    'services:\n  - name: a\n    url: http://a\ncertificates: [{ cert: server.crt, key: server.key }]',
  )
  const source = join(folder, 'test.yaml')
  expect(loaded.locate('services[0].url')).toEqual({ path: 'services[0].url', source, line: 3, column: 5 })
  expect(loaded.locate('services[0].port')).toEqual({ path: 'services[0].port', source, line: 2, column: 5 })
  expect(loaded.locate('log.level')).toEqual({ path: 'log.level', source })
})

test('problems are told in the order of the file', () => {
  const lines = loadText(
    folder,
    'via: maybe\nservices: [{ url: "http://a", routes: [{}] }]\nforwarded: x\nlistners: []',
  ).problems.map(({ line }) => line)
  expect(lines.filter((line) => line !== undefined)).toEqual([1, 2, 3, 4])
  expect(loadText(folder, 'via: maybe').problems.map(describeProblem)).toEqual([
    `${join(folder, 'test.yaml')}:1:1: via: expected on or off, not "maybe"`,
  ])
})

describe('a load beside requests', () => {
  test('comes to the same as one at once, and lets them have their turn', async () => {
    const routes = Array.from(
      { length: 500 },
      (_, i) => `      - { name: r${i}, hosts: [host-${i}.example], paths: [/${i}/] }`,
    )
    const file = join(folder, 'large.yaml')
    writeFileSync(
      file,
      `services:\n  - name: api\n    url: http://127.0.0.1:1\n    routes:\n${routes.join('\n')}\nmistake: 1\n`,
    )
    let turns = 0
    const others = setInterval(() => turns++)
    const beside = await loadConfigBeside({ file, env: {} })
    clearInterval(others)
    const { problems, files } = loadConfig({ file, env: {} })
    expect(beside).toMatchObject({ problems, files, config: undefined })
    expect(problems.map(({ path }) => path)).toContain('mistake')
    expect(turns).toBeGreaterThan(3)
  })
})
