// What becomes of authorities over the years: they are renewed with their key or with another one, end beside their successors, and vouch for each other. Whom
// nginx lets in then comes in here, and nobody else: by OpenSSL's verdict, and by our own where OpenSSL is not told of the authority or a load balancer tells the certificate.
import { createPublicKey, X509Certificate } from 'node:crypto'
import { beforeAll, expect, test } from '@jest/globals'
import { type Ask, ask } from '../support/client.ts'
import { explicit, implicit, sequence } from '../support/der.ts'
import { temporaryFile } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import type { Gateway } from '../support/gateway.ts'
import { nameOf } from '../support/names.ts'
import { startNginx } from '../support/nginx.ts'
import { describeWith } from '../support/peers.ts'
import { type Authority, authority, extension, type Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

const keysOf = ({ privateKey }: Issued) => ({ privateKey, publicKey: createPublicKey(privateKey) })
const showing = (client: Issued, ...issuers: Issued[]): Issued =>
  Object.assign(Object.create(client) as Issued, {
    chain: client.certificate + issuers.map(({ certificate }) => certificate).join(''),
  })
const OVER = { validFrom: -9, validUntil: -1 }
const WITHOUT_KEY_ID = { onlyExtensions: [extension('2.5.29.19', Buffer.from([0x30, 0]), true)] }

const root = authority('root')
const renewed = authority('root', { keys: keysOf(root) })
const over = authority('root', { keys: keysOf(root), ...OVER })
const namesake = authority('root')
const elder = authority('elder')
const elderOver = authority('elder', { keys: keysOf(elder), ...OVER })
const rootByElder = elder.authority('root', { keys: keysOf(root) })
const between = root.authority('between')
const betweenByElder = elder.authority('between', { keys: keysOf(between) })
const ada = root.client('ada')
const gone = root.client('gone')
const below = between.client('below')

interface Setup {
  readonly trusted: readonly Issued[]
  readonly lists?: readonly string[]
  readonly clients: Readonly<Record<string, Issued>>
}

const direct = { ada, gone, 'of the namesake': namesake.client('eve') }
const chained = {
  'with one issuer': showing(below, between),
  'with its other issuer': showing(below, betweenByElder),
  'with both': showing(below, between, betweenByElder),
  'with both, the other way round': showing(below, betweenByElder, between),
  'with the root that the elder signed': showing(below, between, rootByElder),
  'with the root itself too': showing(below, between, root, rootByElder),
  'with the root and not what is between': showing(below, rootByElder),
}
/** As `authorityKeyIdentifier=keyid,issuer:always` of OpenSSL and Microsoft's authorities write it: by the serial number of one form. */
const byNumber = (form: Issued, ...fields: Buffer[]) =>
  extension(
    '2.5.29.35',
    sequence(...fields, implicit(1, explicit(4, nameOf(['CN', 'root']))), implicit(2, form.serial)),
  )
const numbered = root.client('numbered', { onlyExtensions: [byNumber(root)] })
const lists = (...of: Authority[]) => of.map((each) => each.crl([gone]))
const SETUPS: Readonly<Record<string, Setup>> = {
  'renewed with its key': { trusted: [renewed], clients: direct },
  'renewed with its key, with a list': { trusted: [renewed], lists: lists(root), clients: direct },
  'renewed with its key, beside its old form': { trusted: [root, renewed], lists: lists(renewed), clients: direct },
  'over, before its renewed form': { trusted: [over, renewed], lists: lists(root), clients: direct },
  'over, behind its renewed form': { trusted: [renewed, over], lists: lists(root), clients: direct },
  over: { trusted: [over], clients: direct },
  'renewed with its key, of which certificates name the old number': {
    trusted: [renewed],
    clients: { numbered },
  },
  'renewed with its key, both of which are there': { trusted: [renewed, root], clients: { numbered } },
  'renewed with its key, whose list names the old number': {
    trusted: [renewed],
    lists: [root.crl([gone], { keyId: byNumber(root) })],
    clients: direct,
  },
  'of one name': { trusted: [root, namesake], clients: direct },
  'of one name, the other way round': { trusted: [namesake, root], clients: direct },
  'of one name, with lists': { trusted: [root, namesake], lists: lists(root, namesake), clients: direct },
  'of one name, with the list of one': { trusted: [root, namesake], lists: lists(root), clients: direct },
  'of one name, to whose keys nothing points': {
    trusted: [root, namesake],
    clients: { one: root.client('one', WITHOUT_KEY_ID), other: namesake.client('other', WITHOUT_KEY_ID) },
  },
  'that an elder vouches for': { trusted: [elder], clients: chained },
  'that an elder vouches for, with all lists': {
    trusted: [elder],
    lists: lists(elder, root, between),
    clients: chained,
  },
  'that an elder vouches for, and which are trusted themselves': { trusted: [elder, root], clients: chained },
  'that an elder vouches for, who is over': { trusted: [elderOver, root], clients: chained },
  'that an elder vouches for, while they are over themselves': { trusted: [elder, over], clients: chained },
  'of which an elder has revoked one form': {
    trusted: [elder, root],
    lists: [elder.crl([betweenByElder, rootByElder]), root.crl(), between.crl()],
    clients: chained,
  },
  'of which the root has revoked one form': {
    trusted: [elder, root],
    lists: [elder.crl(), root.crl([between]), between.crl()],
    clients: chained,
  },
}

/** OpenSSL takes the first of the name, and then misses its signature; our own verifier takes the one that signed. */
const FOUND_BY_KEY: ReadonlyMap<string, string> = new Map([
  ['of one name, to whose keys nothing points, other: refused', 'other: SUCCESS'],
])

/** OpenSSL wants the number of the form that is trusted; here it is the key that counts, which has signed the list. */
const LIST_BY_KEY: ReadonlyMap<string, string> = new Map([
  ['renewed with its key, whose list names the old number, ada: refused', 'ada: SUCCESS'],
])

describeWith(['nginx'], 'authorities', () => {
  let scene: Scene
  let gateway: Gateway
  let nginx: number
  const names = Object.keys(SETUPS)
  const hostOf = (setup: string) => `setup-${names.indexOf(setup)}.test`
  const pem = (all: readonly Issued[]) => all.map(({ certificate }) => certificate).join('')

  beforeAll(async () => {
    scene = await makeScene()
    scene.backend.respond = (_request, response, seen) => void response.end(seen.header('VERIFIED').join())
    const another = authority('another')
    const servers = Object.entries(SETUPS).flatMap(([setup, { trusted, lists: some }]) => {
      const common = { ssl_verify_client: 'optional', ssl_verify_depth: 3 }
      const announced = { ...common, ssl_client_certificate: pem(trusted), ...(some && { ssl_crl: some.join('') }) }
      return [
        scene.server({ ...announced, server_names: [hostOf(setup)] }),
        scene.server({
          ...announced,
          server_names: [`silent.${hostOf(setup)}`],
          ssl_client_certificate: another.certificate,
          ssl_trusted_certificate: pem(trusted),
        }),
        scene.server({ ...announced, server_names: [`header.${hostOf(setup)}`], certificate_header_format: 'rfc9440' }),
      ]
    })
    gateway = await scene.start({ ...listenerOf(...servers), trusted_ips: ['127.0.0.1'] })
    nginx = await freePort()
    const { certificate, key } = scene.front.files()
    const blocks = Object.entries(SETUPS).map(
      ([setup, { trusted, lists: some }]) => `server {
        listen 127.0.0.1:${nginx} ssl; server_name ${hostOf(setup)};
        ssl_certificate ${certificate}; ssl_certificate_key ${key}; ssl_verify_depth 3;
        ssl_client_certificate ${temporaryFile('ca.pem', pem(trusted))}; ssl_verify_client optional;
        ${some ? `ssl_crl ${temporaryFile('lists.pem', some.join(''))};` : ''}
        location / { default_type text/plain; return 200 "$ssl_client_verify"; }
      }`,
    )
    await startNginx(nginx, `ssl_session_tickets off; ${blocks.join('\n')}`)
  })

  const item = (certificate: string) => `:${new X509Certificate(certificate).raw.toString('base64')}:`
  const headersOf = ({ certificate, chain }: Issued) => {
    const issuers = chain.slice(certificate.length).match(/-----BEGIN[\s\S]+?END CERTIFICATE-----/g) ?? []
    return {
      'client-cert': item(certificate),
      ...(issuers.length > 0 && { 'client-cert-chain': issuers.map(item).join(', ') }),
    }
  }

  test.each(names)('%s', async (setup) => {
    const told = async (port: number, askAs: (as: Issued) => Ask) => {
      const answers: string[] = []
      for (const [who, as] of Object.entries((SETUPS[setup] as Setup).clients)) {
        const { status, text } = await ask(port, '/', askAs(as))
        answers.push(`${who}: ${status === 200 ? text : /certificate error/.test(text) ? 'refused' : status}`)
      }
      return answers
    }
    const host = hostOf(setup)
    const theirs = (await told(nginx, (as) => ({ host, as }))).map(
      (line) => LIST_BY_KEY.get(`${setup}, ${line}`) ?? line,
    )
    expect(await told(gateway.port, (as) => ({ host, as }))).toEqual(theirs)
    const byOurs = theirs.map((line) => FOUND_BY_KEY.get(`${setup}, ${line}`) ?? line)
    expect(await told(gateway.port, (as) => ({ host: `silent.${host}`, as }))).toEqual(byOurs)
    expect(await told(gateway.port, (as) => ({ host: `header.${host}`, headers: headersOf(as) }))).toEqual(byOurs)
  })
})
