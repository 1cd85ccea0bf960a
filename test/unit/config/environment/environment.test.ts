// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what users write in a configuration.
import { execFileSync, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { loadConfig, withSecrets } from '../../../../src/config/index.ts'
import { describeProblem } from '../../../../src/errors.ts'
import { CERTIFICATE, KEY, temporaryFolder, usable } from '../support.ts'

const folder = temporaryFolder()
const inFolder = (name: string) => join(folder, name)

function load(env: NodeJS.ProcessEnv) {
  return loadConfig({ env, file: emptyFile() })
}

/** Keeps the repository's own default file out of the tests. */
function emptyFile(): string {
  writeFileSync(inFolder('empty.yaml'), '# nothing')
  return inFolder('empty.yaml')
}

function messages(env: NodeJS.ProcessEnv): string[] {
  return load(env).problems.map(describeProblem)
}

const pair = (env: NodeJS.ProcessEnv = {}) => ({
  SALLYPORT_SSL_CERTIFICATE: inFolder('server.crt'),
  SALLYPORT_SSL_CERTIFICATE_KEY: inFolder('server.key'),
  ...env,
})

describe('the environment alone', () => {
  test('makes a gateway in front of one API', () => {
    const env = pair({
      SALLYPORT_LISTEN: '127.0.0.1:0',
      SALLYPORT_UPSTREAM_URL: 'https://api.internal:8443',
      SALLYPORT_SSL_VERIFY_CLIENT: 'on',
      SALLYPORT_SSL_CLIENT_CERTIFICATE: Buffer.from(CERTIFICATE).toString('base64'),
      SALLYPORT_SSL_CRL: inFolder('ca.crl'),
      SALLYPORT_PROXY_SSL_NAME: 'api.example.com',
      SECRET_CLIENT_CERT: CERTIFICATE,
      SECRET_CLIENT_KEY: KEY,
      SECRET_CLIENT_KEY_PASSPHRASE: 'hunter2',
    })
    const config = usable(load(env))
    expect(config.listeners[0]?.servers[0]).toMatchObject({
      ssl_verify_client: 'on',
      ssl_client_certificate: { origin: 'base64' },
    })
    expect(config.services).toMatchObject([
      { name: 'upstream', host: 'api.internal', port: 8443, proxy_ssl_name: 'api.example.com', tls_verify: true },
    ])
    expect(config.routes).toMatchObject([{ name: 'upstream', paths: ['/'], strip_path: false }])
    expect(config.proxy.proxy_ssl_certificate_key?.read()).toBe(KEY)
    expect(config.proxy.proxy_ssl_password?.reveal()).toBe('hunter2')
  })

  test("takes Kong's client certificate too", () => {
    const config = usable(
      load({ KONG_CLIENT_SSL_CERT: CERTIFICATE, KONG_CLIENT_SSL_CERT_KEY: KEY, KONG_CLIENT_SSL: 'on' }),
    )
    expect(config.proxy.proxy_ssl_certificate?.origin).toBe('inline')
  })
})

describe('secrets', () => {
  test('leave the environment once read, and nothing else does', () => {
    const env = pair({
      SECRET_CLIENT_CERT: CERTIFICATE,
      SECRET_CLIENT_KEY: KEY,
      SECRET_CLIENT_KEY_PASSPHRASE: 'a',
      SALLYPORT_SSL_PASSWORD: 'b',
      PATH: '/bin',
    })
    load(env)
    expect(Object.keys(env).sort()).toEqual(['PATH', 'SALLYPORT_SSL_CERTIFICATE', 'SECRET_CLIENT_CERT'])
  })

  test('leave it too when the configuration is refused, or its file is broken', () => {
    const refused = { SECRET_CLIENT_KEY: KEY }
    load(refused)
    expect(refused).toEqual({})
    writeFileSync(inFolder('broken.yaml'), '{')
    const broken = { SECRET_CLIENT_KEY: KEY }
    loadConfig({ file: inFolder('broken.yaml'), env: broken })
    expect(broken).toEqual({})
  })

  test('are known again at a reload with the same environment, and can be handed to a worker', () => {
    const env: NodeJS.ProcessEnv = pair({ SECRET_CLIENT_CERT: CERTIFICATE, SECRET_CLIENT_KEY: KEY })
    usable(load(env))
    expect(env.SECRET_CLIENT_KEY).toBeUndefined()
    expect(usable(load(env)).proxy.proxy_ssl_certificate_key?.read()).toBe(KEY)
    expect(withSecrets(env).SECRET_CLIENT_KEY).toBe(KEY)
    expect(load({ ...env }).config).toBeUndefined()
  })

  test('that a file asks for by ${NAME} leave it too', () => {
    writeFileSync(inFolder('asks.yaml'), 'certificates: [{ cert: server.crt, key: "${MY_KEY}", tags: ["${LABEL}"] }]')
    const env: NodeJS.ProcessEnv = { MY_KEY: KEY, LABEL: 'x' }
    for (let round = 0; round < 2; round++) {
      expect(usable(loadConfig({ file: inFolder('asks.yaml'), env })).certificates[0]?.key.read()).toBe(KEY)
      expect(env).toEqual({ LABEL: 'x' })
    }
  })

  test('and other values of variables are never part of a message', () => {
    const secret = 'hunter2hunter2'
    const names = [
      'SALLYPORT_LISTEN',
      'SALLYPORT_UPSTREAM_URL',
      'SALLYPORT_SSL_CERTIFICATE',
      'SECRET_CLIENT_KEY',
      'SALLYPORT_SSL_VERIFY_CLIENT',
      'SALLYPORT_LOG_LEVEL',
    ]
    for (const name of [...names, 'SALLYPORT_TRUSTED_IPS', 'SALLYPORT_SERVER_NAMES', 'SALLYPORT_NOTHING']) {
      const text = messages({ [name]: `${secret}/ /` }).join('\n')
      expect(text).not.toBe('')
      expect(text).not.toContain(secret)
    }
    writeFileSync(inFolder('value.yaml'), 'log: { level: "${PASSWORD}" }\nlisteners: [{ listen: "x${PASSWORD}" }]')
    const loaded = loadConfig({ file: inFolder('value.yaml'), env: { PASSWORD: secret } })
    expect(loaded.problems).toHaveLength(2)
    expect(JSON.stringify(loaded)).not.toContain(secret)
  })
})

describe('a pair of which one is missing is refused, naming the other', () => {
  test.each([
    [{ SECRET_CLIENT_CERT: CERTIFICATE }, 'SECRET_CLIENT_KEY'],
    [{ SECRET_CLIENT_KEY: KEY }, 'SECRET_CLIENT_CERT'],
    [{ SECRET_CLIENT_KEY: KEY, SECRET_CLIENT_CERT: '' }, 'SECRET_CLIENT_CERT'],
    [{ KONG_CLIENT_SSL_CERT: CERTIFICATE }, 'KONG_CLIENT_SSL_CERT_KEY'],
    [{ SECRET_CLIENT_KEY_PASSPHRASE: 'x' }, 'SECRET_CLIENT_KEY'],
    [{ SALLYPORT_SSL_CERTIFICATE: CERTIFICATE }, 'SALLYPORT_SSL_CERTIFICATE_KEY'],
    [{ SALLYPORT_SSL_CERTIFICATE_KEY: KEY }, 'SALLYPORT_SSL_CERTIFICATE'],
    [pair({ SALLYPORT_SSL_VERIFY_CLIENT: 'on' }), 'SALLYPORT_SSL_CLIENT_CERTIFICATE'],
  ])('%#: %s', (env, missing) => {
    const found = messages(env)
    expect(found).toHaveLength(1)
    expect(found[0]).toContain(`(${missing}`.replace('(KONG', 'KONG'))
    expect(found[0]).toMatch(/^environment: /)
  })
})

describe('the _FILE twin', () => {
  test('gives the value of a file, without its last line break, and is watched', () => {
    writeFileSync(inFolder('url'), 'http://api.internal\n')
    writeFileSync(inFolder('passphrase'), 'hunter2\r\n')
    const loaded = load(
      pair({
        SALLYPORT_UPSTREAM_URL_FILE: inFolder('url'),
        SECRET_CLIENT_KEY_FILE: inFolder('server.key'),
        SECRET_CLIENT_CERT_FILE: inFolder('server.crt'),
        SECRET_CLIENT_KEY_PASSPHRASE_FILE: inFolder('passphrase'),
        SALLYPORT_SSL_CRL_FILE: inFolder('ca.crl'),
        SALLYPORT_SSL_VERIFY_CLIENT: 'optional_no_ca',
      }),
    )
    const config = usable(loaded)
    expect(config.services[0]?.host).toBe('api.internal')
    expect(config.proxy.proxy_ssl_password?.reveal()).toBe('hunter2')
    expect(config.listeners[0]?.servers[0]?.ssl_crl?.parts).toMatchObject([{ file: inFolder('ca.crl') }])
    expect(loaded.files).toEqual(
      expect.arrayContaining(['url', 'passphrase', 'server.key', 'ca.crl', 'empty.yaml'].map(inFolder)),
    )
  })

  test('beside the plain variable is one problem, and not also a certificate without its key', () => {
    writeFileSync(inFolder('twin.key'), KEY)
    expect(
      messages({
        SECRET_CLIENT_CERT: CERTIFICATE,
        SECRET_CLIENT_KEY: KEY,
        SECRET_CLIENT_KEY_FILE: inFolder('twin.key'),
      }),
    ).toEqual(['environment: SECRET_CLIENT_KEY_FILE: stands beside SECRET_CLIENT_KEY; set one of them'])
  })

  test('beside the plain variable, or in two names for one setting, is refused', () => {
    expect(messages({ SALLYPORT_LISTEN: '1', SALLYPORT_LISTEN_FILE: '/x' })).toEqual([
      'environment: SALLYPORT_LISTEN_FILE: stands beside SALLYPORT_LISTEN; set one of them',
    ])
    const both = {
      SECRET_CLIENT_CERT: CERTIFICATE,
      SECRET_CLIENT_KEY: KEY,
      KONG_CLIENT_SSL_CERT: CERTIFICATE,
      KONG_CLIENT_SSL_CERT_KEY: KEY,
    }
    expect(messages(both)).toEqual([
      'environment: KONG_CLIENT_SSL_CERT: stands beside SECRET_CLIENT_CERT; set one of them',
      'environment: KONG_CLIENT_SSL_CERT_KEY: stands beside SECRET_CLIENT_KEY; set one of them',
    ])
    expect(both).not.toHaveProperty('KONG_CLIENT_SSL_CERT_KEY')
  })

  test('may name a pipe, which can be read only once', () => {
    execFileSync('mkfifo', [inFolder('pipe')])
    const writer = spawn('sh', ['-c', 'cat "$0" > "$1"', inFolder('server.key'), inFolder('pipe')])
    try {
      const config = usable(load({ SECRET_CLIENT_CERT: CERTIFICATE, SECRET_CLIENT_KEY_FILE: inFolder('pipe') }))
      expect(config.proxy.proxy_ssl_certificate_key?.read()).toBe(KEY)
    } finally {
      writer.kill()
    }
  })

  test('a line break at the end, as secrets made of echo have it, is no part of a value', () => {
    const env = pair({ SALLYPORT_UPSTREAM_URL: 'https://api\n', SECRET_CLIENT_KEY_PASSPHRASE: 'hunter2\n' })
    const { proxy, services } = usable(load({ ...env, SECRET_CLIENT_CERT: CERTIFICATE, SECRET_CLIENT_KEY: KEY }))
    expect(proxy.proxy_ssl_password?.reveal()).toBe('hunter2')
    expect(services).toMatchObject([{ host: 'api' }])
  })

  test('that is not there is one problem, and not also a certificate without its key', () => {
    expect(messages({ SECRET_CLIENT_CERT: CERTIFICATE, SECRET_CLIENT_KEY_FILE: '/nowhere/key' })).toEqual([
      expect.stringContaining('SECRET_CLIENT_KEY_FILE: names no readable file (looked for /nowhere/key)'),
    ])
  })

  test('that names no file is refused, and so is a key put there itself, unseen', () => {
    expect(messages({ SALLYPORT_LISTEN_FILE: '/nowhere' })[0]).toContain(
      'SALLYPORT_LISTEN_FILE: names /nowhere, which cannot be read (ENOENT)',
    )
    const found = messages({ SECRET_CLIENT_KEY_FILE: KEY }).join()
    expect(found).toContain('SECRET_CLIENT_KEY_FILE')
    expect(found).not.toContain('c2VjcmV0a2V5')
  })

  test("of the server's passphrase is nginx's ssl_password_file, with several to try", () => {
    writeFileSync(inFolder('passwords'), 'one\r\ntwo\n\n')
    const config = usable(load(pair({ SALLYPORT_SSL_PASSWORD_FILE: inFolder('passwords') })))
    expect(config.listeners[0]?.servers[0]?.ssl_passwords.map((each) => each.reveal())).toEqual(['one', 'two'])
  })
})

test.each([
  ['SALYPORT_SSL_CRL', 'SALLYPORT_SSL_CRL'],
  ['SECRETS_CLIENT_KEY_FILE', 'SECRET_CLIENT_KEY_FILE'],
  ['SALLY_PORT_SSL_VERIFY_CLIENT', 'SALLYPORT_SSL_VERIFY_CLIENT'],
])('%s, whose beginning is misspelt, is warned of', (name, meant) => {
  expect(load({ [name]: 'x' }).warnings.map(describeProblem)).toEqual([
    `environment: ${name}: is not read; if it is meant for Sallyport, write ${meant}`,
  ])
})

test('variables of other programs are not warned of', () => {
  const others = ['SECRET_KEY', 'SSL_CERT_FILE', 'SSH_AUTH_SOCK', 'SHELL', 'CLIENT_CERT', 'SALLY_SERVICE_HOST']
  expect(load(Object.fromEntries(others.map((name) => [name, 'x']))).warnings).toEqual([])
})

test('an unknown variable is refused with the nearest name, but not those that Kubernetes makes for a service named sallyport', () => {
  expect(messages({ SALLYPORT_SSL_VERIFY_CLEINT: 'on' })).toEqual([
    'environment: SALLYPORT_SSL_VERIFY_CLEINT: is no variable that Sallyport knows (did you mean "SALLYPORT_SSL_VERIFY_CLIENT"?)',
  ])
  const kubernetes = [
    'SERVICE_HOST',
    'SERVICE_PORT',
    'SERVICE_PORT_HTTPS',
    'PORT',
    'PORT_8443_TCP',
    'PORT_8443_TCP_ADDR',
    'ADMIN_SERVICE_HOST',
  ]
  expect(messages(Object.fromEntries(kubernetes.map((name) => [`SALLYPORT_${name}`, 'tcp://10.0.0.1:8443'])))).toEqual(
    [],
  )
  expect(messages({ SALLYPORT_SERVICE_HOSTS: 'x', SECRET_CLIENT_CRT: 'x' })).toHaveLength(2)
})

test.each([
  [
    'SALLYPORT_SSL_CERT',
    'a.crt',
    'is no variable that Sallyport knows; SALLYPORT_SSL_CERTIFICATE is what sets it here',
  ],
  [
    'SALLYPORT_UPSTREAM',
    'http://a',
    'is no variable that Sallyport knows; SALLYPORT_UPSTREAM_URL is what sets it here',
  ],
  ['SALLYPORT_CLIENT_CA_FILE', 'ca.crt', 'is no variable that Sallyport knows; SALLYPORT_SSL_CLIENT_CERTIFICATE is'],
  [
    'SECRET_CLIENT_CERTIFICATE',
    'a.crt',
    'is no variable that Sallyport knows; SECRET_CLIENT_CERT is what sets it here',
  ],
  ['SECRET_CLIENT_PRIVATE_KEY', 'a.key', 'is no variable that Sallyport knows; SECRET_CLIENT_KEY is what sets it here'],
  ['sallyport_ssl_crl', 'ca.crl', 'is not read: write SALLYPORT_SSL_CRL, in upper case'],
  ['SALLYPORT_LISTN', '8443', 'is no variable that Sallyport knows (did you mean "SALLYPORT_LISTEN"?)'],
  [
    'SECRET_CLIENT_PASSPHRASE',
    'x',
    'is no variable that Sallyport knows (did you mean "SECRET_CLIENT_KEY_PASSPHRASE"?)',
  ],
  ['SALLYPORT_SSL_PASSWORD_FILE', '/nowhere/p', 'names no readable file (looked for /nowhere/p); write it there'],
  ['SALLYPORT_PORT', '8443', 'is no variable that Sallyport knows; SALLYPORT_LISTEN sets address and port'],
  [
    'SALLYPORT_PROXY_SSL_VERIFY',
    'off',
    "is no variable that Sallyport knows; proxy_ssl_verify is nginx's: remove it: ",
  ],
  ['SALLYPORT_IDENTITY_HEADERS', 'x', 'is no variable: write identity_headers in a file (-c)'],
  ['SALLYPORT_SSL_PROTOCOLS', 'TLSv1.2 TLSv1.3', 'expected values that are separated by commas'],
])('%s=%s is told what to write instead', (name, value, message) => {
  expect(messages({ [name]: value })).toEqual([expect.stringContaining(`environment: ${name}: ${message}`)])
})

test.each(['SALLYPORT_XY', 'SALLYPORT_FROBNICATE'])('%s is like nothing that there is, whatever its prefix', (name) => {
  expect(messages({ [name]: 'x' })).toEqual([`environment: ${name}: is no variable that Sallyport knows`])
})

test('a blank at an end is warned of, but not in lists, of which each value is trimmed, nor in what ends with a line break', () => {
  const warned = (env: NodeJS.ProcessEnv) => load(env).warnings.map(describeProblem)
  expect(warned({ SALLYPORT_LISTEN: '127.0.0.1:0 ' })).toEqual([
    'environment: SALLYPORT_LISTEN: begins or ends with a blank; remove it where it is not meant',
  ])
  expect(warned({ SALLYPORT_TRUSTED_IPS: '10.0.0.1, 10.0.0.2 ', SALLYPORT_LISTEN: '127.0.0.1:0\n' })).toEqual([])
})

test('an empty variable counts as not set, except where that would let everybody in', () => {
  expect(
    messages({ SALLYPORT_LISTEN: '', SECRET_CLIENT_KEY: '', SECRET_CLIENT_CERT: '', SALLYPORT_SSL_CERTIFICATE: '' }),
  ).toEqual([])
  for (const name of [
    'SALLYPORT_SSL_VERIFY_CLIENT',
    'SALLYPORT_SSL_CRL',
    'SALLYPORT_SSL_CRL_FILE',
    'SALLYPORT_SSL_CLIENT_CERTIFICATE',
    'SALLYPORT_SSL_OCSP',
    'SALLYPORT_PINNED_CERTS_FILE',
  ]) {
    expect(messages({ [name]: '' })).toEqual([
      `environment: ${name}: is empty; give it a value, or do not set it at all`,
    ])
  }
})

test('a list with nothing in it and an empty file are refused', () => {
  writeFileSync(inFolder('nothing'), '\n')
  const empty: [string, string][] = [
    ['SALLYPORT_PINNED_CERTS', ','],
    ['SALLYPORT_PINNED_CERTS_FILE', inFolder('nothing')],
    ['SALLYPORT_SSL_VERIFY_POLICIES', ' '],
    ['SALLYPORT_LOG_LEVEL_FILE', inFolder('nothing')],
  ]
  for (const [name, value] of empty) {
    expect(messages({ [name]: value })).toEqual([
      `environment: ${name}: is empty; give it a value, or do not set it at all`,
    ])
  }
})

test('a setting is located by the variable that gave it', () => {
  const loaded = load(pair({ SALLYPORT_LISTEN: '127.0.0.1:0' }))
  expect(loaded.locate('listeners[0].servers[0].ssl_certificate_key')).toEqual({
    path: 'SALLYPORT_SSL_CERTIFICATE_KEY',
    source: 'environment',
  })
  expect(loaded.locate('listeners[0].listen')).toEqual({ path: 'SALLYPORT_LISTEN', source: 'environment' })
  expect(loaded.locate('log.level')).toEqual({ path: 'log.level', source: inFolder('empty.yaml') })
})

describe("Kong's variables that are not read", () => {
  const warnings = (env: NodeJS.ProcessEnv) => load(env).warnings.map(describeProblem)

  test('are warned of by name, with what to write here', () => {
    const env = {
      KONG_PROXY_LISTEN: '0.0.0.0:8443 ssl',
      KONG_TRUSTED_IPS: '10.0.0.0/8',
      KONG_NGINX_PROXY_SSL_VERIFY_CLIENT: 'on',
      KONG_NGINX_HTTP_LARGE_CLIENT_HEADER_BUFFERS: '8 64k',
      KONG_DNS_RESOLVER: '10.0.0.2',
    }
    expect(warnings(env)).toEqual([
      "environment: KONG_PROXY_LISTEN: is Kong's and not read; write listen in listeners (SALLYPORT_LISTEN)",
      "environment: KONG_TRUSTED_IPS: is Kong's and not read; write SALLYPORT_TRUSTED_IPS",
      "environment: KONG_NGINX_PROXY_SSL_VERIFY_CLIENT: is Kong's and not read; write SALLYPORT_SSL_VERIFY_CLIENT",
      expect.stringMatching(/KONG_NGINX_HTTP_LARGE_CLIENT_HEADER_BUFFERS: .*; write client_max_header_size and/),
      expect.stringMatching(/KONG_DNS_RESOLVER: .*; remove it: names are looked up as the system does$/),
    ])
  })

  test('are told together where there is nothing like them, and never with their values', () => {
    const told = warnings({ KONG_PG_PASSWORD: 'hunter2', KONG_PREFIX: '/hunter2', KONG_SSL_CERT_KEY: 'hunter2' })
    expect(told).toEqual([
      expect.stringMatching(/^environment: KONG_SSL_CERT_KEY: /),
      "environment: KONG_PG_PASSWORD, KONG_PREFIX: are Kong's and do nothing here",
    ])
    expect(told.join()).not.toContain('hunter2')
    expect(warnings({ KONG_PREFIX: '/x' })).toEqual(["environment: KONG_PREFIX: is Kong's and does nothing here"])
  })

  test('are no matter where they are read, empty, of Kubernetes, or say what is so anyway', () => {
    const env = {
      ...{
        KONG_CLIENT_SSL: 'on',
        KONG_CLIENT_SSL_CERT: CERTIFICATE,
        KONG_CLIENT_SSL_CERT_KEY_FILE: inFolder('server.key'),
      },
      ...{ KONG_DATABASE: 'off', KONG_ADMIN_LISTEN: '', KONG_PROXY_ACCESS_LOG: '/dev/stdout' },
      ...{
        KONG_PROXY_SERVICE_HOST: '10.0.0.1',
        KONG_PROXY_PORT_8443_TCP_ADDR: '10.0.0.1',
        KONG_PORT: 'tcp://10.0.0.1:80',
      },
    }
    expect(warnings(env)).toEqual([])
    expect(warnings({ KONG_DATABASE: 'postgres', KONG_CLIENT_SSL: 'off' })).toHaveLength(2)
  })
})

test('an upstream beside services that are no list is a mistake of the file, with its line', () => {
  writeFileSync(inFolder('map.yaml'), 'services: { api: http://api }\n')
  const { problems } = loadConfig({ env: pair({ SALLYPORT_UPSTREAM_URL: 'http://api' }), file: inFolder('map.yaml') })
  expect(problems.map(describeProblem)).toContainEqual(
    expect.stringMatching(/map\.yaml:1:1: services: expected a list/),
  )
})
