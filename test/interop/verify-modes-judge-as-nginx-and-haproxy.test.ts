/** The same clients at Sallyport, nginx and HAProxy, for every verify mode: who comes in, and what the backend is told of it. */
import { beforeAll, expect, test } from '@jest/globals'
import { type Answer, ask } from '../support/client.ts'
import { temporaryFile } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import type { Gateway } from '../support/gateway.ts'
import { startHaproxy } from '../support/haproxy.ts'
import { startNginx } from '../support/nginx.ts'
import { describeWith } from '../support/peers.ts'
import { authority, type Issued, selfSigned } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

const MODES = ['off', 'optional', 'on', 'optional_no_ca'] as const
type Mode = (typeof MODES)[number]

let scene: Scene
let gateway: Gateway
const clients = new Map<string, Issued | undefined>()

const CLIENTS = [
  'nobody',
  'of the authority itself',
  'below an intermediate authority',
  'below two intermediate authorities',
  'below an intermediate that is not sent',
  'of an unknown authority, alone',
  'of an unknown authority, with its chain',
  'of an unknown authority, with its root',
  'self-signed',
  'expired',
  'of the future',
  'expired, of an unknown authority',
  'for servers only',
  'for any purpose',
  'revoked',
  'signed by a client',
  'below an authority that may have none below',
]

function issueAll(): void {
  const { clients: root } = scene
  const middle = root.authority('middle')
  const strangers = authority('strangers')
  const unknown = strangers.authority('unknown')
  const past = { validFrom: -9, validUntil: -1 }
  const withRoot = unknown.client('rooted')
  const issued: (Issued | undefined)[] = [
    undefined,
    root.client('direct'),
    middle.client('middle'),
    middle.authority('low').client('deep'),
    withChain(middle.client('bare'), ''),
    withChain(unknown.client('lone'), ''),
    unknown.client('chained'),
    withChain(withRoot, withRoot.chain.slice(withRoot.certificate.length) + strangers.certificate),
    selfSigned('self'),
    root.client('old', past),
    root.client('young', { validFrom: 1 }),
    unknown.client('both', past),
    root.client('server', { purposes: ['serverAuth'] }),
    root.client('any', { purposes: [] }),
    root.client('gone'),
    root.clientThatSigns('usurper').client('usurped'),
    root.authority('limited', { pathLength: 0 }).authority('below').client('beyond'),
  ]
  for (const [i, name] of CLIENTS.entries()) clients.set(name, issued[i])
}

function withChain(issued: Issued, chain: string): Issued {
  return Object.assign(Object.create(issued) as Issued, { chain: issued.certificate + chain })
}

beforeAll(async () => {
  scene = await makeScene()
  issueAll()
})

interface Outcome {
  readonly status: number
  /** VERIFIED and DN, where the request came through. */
  readonly told: string
}

function outcomeOf({ status, text }: Answer): Outcome {
  return { status, told: status === 200 ? text : '' }
}

function host(mode: Mode): string {
  return `${mode.replaceAll('_', '-')}.test`
}

/** What Sallyport makes of a client: the backend answers with what it was told. */
function here(mode: Mode, as: Issued | undefined, tls: 'TLSv1.2' | 'TLSv1.3'): Promise<Outcome> {
  return ask(gateway.port, '/', { host: host(mode), tls, ...(as && { as }) }).then(outcomeOf)
}

async function startHere(fields: object = {}): Promise<void> {
  // Where nobody is asked for a certificate, a list is refused as a mistake.
  const fieldsOf = (mode: Mode) => (mode === 'off' ? { ...fields, ssl_crl: undefined } : fields)
  scene.backend.respond = (_request, response, seen) =>
    void response.end(`${seen.header('VERIFIED').join()}|${seen.header('DN').join()}`)
  gateway = await scene.start(
    listenerOf(
      ...MODES.map((mode) => scene.server({ server_names: [host(mode)], ssl_verify_client: mode, ...fieldsOf(mode) })),
    ),
  )
}

describeWith(['nginx'], 'nginx', () => {
  let port: number
  // An intermediate needs a list of its own in OpenSSL, so that revocation is compared for clients of the root alone.
  const revocation = (name: string) => !/^(below|signed|of an unknown|self|expired, of)/.test(name)

  async function startBoth(crl: string | undefined, told = ''): Promise<void> {
    await startHere(crl === undefined ? {} : { ssl_crl: crl })
    port = await freePort()
    const { certificate, key } = scene.front.files()
    const trusted = temporaryFile('ca.pem', scene.clients.certificate)
    const list = crl === undefined ? '' : `ssl_crl ${temporaryFile('crl.pem', crl)};`
    const servers = MODES.map(
      (mode) => `server {
        listen 127.0.0.1:${port} ssl; server_name ${host(mode)};
        ssl_certificate ${certificate}; ssl_certificate_key ${key};
        ssl_client_certificate ${trusted}; ssl_verify_client ${mode}; ${list} ${told}
        location / { default_type text/plain; return 200 "$ssl_client_verify|$ssl_client_s_dn"; }
      }`,
    )
    await startNginx(port, servers.join('\n'))
  }

  test('beside lists of all authorities refuses for the same reason', async () => {
    const { clients: root } = scene
    const low = root.authority('low')
    const forServers = { purposes: ['serverAuth'] } as const
    const taken = root.client('taken', forServers)
    const refused: readonly Issued[] = [
      ...[root.client('unsuited', forServers), taken, low.client('unsuited too', forServers)],
      ...[root.client('past', { validFrom: -9, validUntil: -1 }), selfSigned('alone'), scene.ada],
    ]
    const lists = [root.crl([taken, scene.ada]), low.crl()].join('')
    await startBoth(lists, 'error_page 495 =200 @why; location @why { return 200 "$ssl_client_verify"; }')
    for (const as of refused) {
      const { text } = await ask(port, '/', { host: host('on'), as })
      expect((await ask(gateway.port, '/', { host: host('on'), as })).status).toBe(400)
      const line = await gateway.logged({ msg: 'request', subject: `CN=${as.name}` })
      expect(`${as.name} FAILED:${line.verify_reason}`).toBe(`${as.name} ${text}`)
    }
  })

  async function compare(names: readonly string[]): Promise<void> {
    const [ours, theirs]: [Record<string, Outcome>, Record<string, Outcome>] = [{}, {}]
    for (const mode of MODES) {
      for (const name of names) {
        const as = clients.get(name)
        for (const tls of ['TLSv1.2', 'TLSv1.3'] as const) {
          const cell = `${mode}, ${name}, ${tls}`
          ours[cell] = await here(mode, as, tls)
          theirs[cell] = outcomeOf(await ask(port, '/', { host: host(mode), tls, ...(as && { as }) }))
        }
      }
    }
    expect(ours).toEqual(theirs)
  }

  test('lets in the same clients, and says the same of them', async () => {
    await startBoth(undefined)
    await compare(CLIENTS.filter((name) => name !== 'revoked'))
  })

  test('does so with a revocation list, too', async () => {
    const gone = clients.get('revoked') as Issued
    await startBoth(scene.clients.crl([gone]))
    await compare(CLIENTS.filter(revocation))
  })
})

describeWith(['haproxy'], 'HAProxy', () => {
  const WORDS = { off: 'none', optional: 'optional', on: 'required' } as const

  /** HAProxy never answers a client that it does not let in. */
  async function there(port: number, as: Issued | undefined): Promise<string> {
    try {
      const { status, text } = await ask(port, '/', { host: 'localhost', ...(as && { as }) })
      return status === 200 ? text : `status ${status}`
    } catch {
      return 'cut off'
    }
  }

  async function hereRejecting(mode: Mode, as: Issued | undefined): Promise<string> {
    try {
      const { told } = await here(mode, as, 'TLSv1.3')
      const [verified = '', dn = ''] = told.split('|')
      return `${verified === 'SUCCESS' ? '1' : '0'}|${dn.replace('CN=', '')}`
    } catch {
      return 'cut off'
    }
  }

  test('lets in the same clients, and cuts off the same ones where ssl_verify_failure is reject', async () => {
    await startHere({ ssl_verify_failure: 'reject', ssl_verify_depth: 9 })
    const pem = temporaryFile('front.pem', scene.front.chain + scene.front.key)
    const trusted = temporaryFile('ca.pem', scene.clients.certificate)
    const ports = new Map<Mode, number>()
    const sections: string[] = []
    for (const [mode, word] of Object.entries(WORDS) as [keyof typeof WORDS, string][]) {
      const port = await freePort()
      ports.set(mode, port)
      sections.push(`frontend ${mode}
  bind 127.0.0.1:${port} ssl crt ${pem} ${word === 'none' ? '' : `ca-file ${trusted}`} verify ${word}
  http-request return status 200 content-type text/plain lf-string "%[ssl_c_used]|%[ssl_c_s_dn(cn)]"`)
    }
    await startHaproxy(ports.get('on') as number, sections.join('\n'))
    const [ours, theirs]: [Record<string, string>, Record<string, string>] = [{}, {}]
    for (const [mode, port] of ports) {
      for (const name of CLIENTS.filter((each) => each !== 'revoked')) {
        const as = clients.get(name)
        ours[`${mode}, ${name}`] = await hereRejecting(mode, as)
        theirs[`${mode}, ${name}`] = await there(port, as)
      }
    }
    expect(ours).toEqual(theirs)
  })
})
