// What an authority may write into a revocation list, and what somebody else may write in its name: whom nginx refuses by it, the gateway refuses, or the list is
// refused at the start. Whom nginx lets in comes in here too.
import { beforeAll, expect, test } from '@jest/globals'
import { ask } from '../support/client.ts'
import {
  boolean,
  explicit,
  generalizedTime,
  implicit,
  octetString,
  printableString,
  rawInteger,
  sequence,
  tlv,
  utcTime,
} from '../support/der.ts'
import { temporaryFile } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import { type Gateway, refusedStart } from '../support/gateway.ts'
import { nameOf } from '../support/names.ts'
import { startNginx } from '../support/nginx.ts'
import { describeWith } from '../support/peers.ts'
import { authority, type CrlOptions, extension, revokedEntry } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

const root = authority('root')
const impostor = authority('root')
const POINT = 'http://a.test/1.crl'
const url = (text: string) => implicit(6, Buffer.from(text))
const named = extension('2.5.29.31', sequence(sequence(explicit(0, explicit(0, url(POINT))))))

const CLIENTS = {
  gone: root.client('gone', { extensions: [named] }),
  good: root.client('good', { extensions: [named] }),
  'serial number -1': root.client('minus one', { serial: Buffer.from([0xff]) }),
  'serial number 255': root.client('255', { serial: Buffer.from([0, 0xff]) }),
  'serial number of 20 bytes': root.client('long', { serial: Buffer.alloc(20, 0x5a) }),
}
const { gone } = CLIENTS

const reason = (code: number) => extension('2.5.29.21', tlv(0x0a, Buffer.from([code])))
const entry = (...extensions: Buffer[]) => ({ entries: [revokedEntry(gone.serial, -1, ...extensions)] })
const scope = (...fields: Buffer[]) => ({ extensions: [extension('2.5.29.28', sequence(...fields), true)] })
const flag = (tag: number) => implicit(tag, Buffer.from([0xff]))
const revoking = (options: CrlOptions = {}) => root.crl([gone], options)
const unknown = (isCritical: boolean) => extension('1.2.3.4', octetString(Buffer.alloc(1)), isCritical)

const LISTS: Readonly<Record<string, string>> = {
  'of nobody': root.crl(),
  'of one': revoking(),
  'of version 1': revoking({ version: 1 }),
  'of one who is on hold': root.crl([], entry(reason(6))),
  'of one who was taken off it': root.crl([], entry(reason(8))),
  'of one who was taken off it and put on again': root.crl([], {
    entries: [revokedEntry(gone.serial, -1, reason(8)), revokedEntry(gone.serial, -1, reason(1))],
  }),
  'of one who will be revoked': root.crl([], { entries: [revokedEntry(gone.serial, 5)] }),
  'of one with a date that is none': root.crl([], {
    entries: [sequence(rawInteger(gone.serial), utcTime('soon'))],
  }),
  'of one for a reason that nobody knows': root.crl([], entry(reason(99))),
  'of number -1': root.crl([], { entries: [revokedEntry(Buffer.from([0xff]))] }),
  'of number 255': root.crl([], { entries: [revokedEntry(Buffer.from([0, 0xff]))] }),
  'of a number of 20 bytes': root.crl([], { entries: [revokedEntry(Buffer.alloc(20, 0x5a))] }),
  'of a number of 40 bytes': root.crl([], { entries: [revokedEntry(Buffer.alloc(40, 0x5a))] }),
  'whose issuer is spelled otherwise': revoking({ issuer: nameOf(['CN', printableString(' ROOT ')]) }),
  'without an end': revoking({ nextUpdate: null }),
  'that is over': revoking({ thisUpdate: -9, nextUpdate: -1 }),
  'that has not begun': revoking({ thisUpdate: 1 }),
  'that was over before it began': revoking({ thisUpdate: -1, nextUpdate: -2 }),
  'with an unknown extension': revoking({ extensions: [unknown(false)] }),
  'of users only': revoking(scope(flag(1))),
  'of authorities only': revoking(scope(flag(2))),
  'of users and another of authorities': root.crl([gone], scope(flag(1))) + root.crl([], scope(flag(2))),
  'of the point that clients name': revoking(scope(explicit(0, explicit(0, url(POINT))))),
  'of that point, beside one of nobody': revoking(scope(explicit(0, explicit(0, url(POINT))))) + root.crl(),
  'of another point': revoking(scope(explicit(0, explicit(0, url('http://a.test/2.crl'))))),
  'of an impostor with a key of its own': impostor.crl(),
  'of an impostor with a key of its own, beside the true one': impostor.crl() + revoking(),
  'that is older, beside a newer one of nobody': revoking({ thisUpdate: -3 }) + root.crl([], { thisUpdate: -2 }),
  'that is over, beside one that is not': root.crl([], { thisUpdate: -9, nextUpdate: -1 }) + revoking(),
  'that has not begun, beside one that has': root.crl([], { thisUpdate: 1 }) + revoking(),
  // The gateway does not start with what follows.
  'that an impostor signed': revoking({ signer: impostor }),
  'that is a delta': revoking({ extensions: [extension('2.5.29.27', rawInteger(Buffer.from([1])), true)] }),
  'that is indirect': revoking(scope(flag(4))),
  'with entries of another issuer': root.crl(
    [],
    entry(extension('2.5.29.29', sequence(explicit(4, nameOf(['CN', 'other']))), true)),
  ),
  'for some reasons only': revoking(scope(implicit(3, Buffer.from([1, 2])))),
  'of attribute certificates': revoking(scope(flag(5))),
  'of users only and of authorities only': revoking(scope(flag(1), flag(2))),
  'with an unknown critical extension': revoking({ extensions: [unknown(true)] }),
  'with an unknown critical extension of an entry': root.crl([], entry(extension('1.2.3.4', boolean(true), true))),
  'with a date that has an offset': revoking({ dates: [utcTime('260101000000+0000'), utcTime('490101000000Z')] }),
  'with an end that has fractions': revoking({
    dates: [utcTime('260101000000Z'), generalizedTime('20490101000000.5Z')],
  }),
}

/** Where nginx lets in whom we don't: of two entries it takes either, and it reads entries of others as the issuer's own. */
const STRICTER: Readonly<Record<string, readonly string[]>> = {
  'of one who was taken off it and put on again': ['gone'],
  'with entries of another issuer': Object.keys(CLIENTS),
}

describeWith(['nginx'], 'nginx', () => {
  let scene: Scene
  let gateway: Gateway
  let nginx: number
  /** Those of the lists that do not let the gateway start. */
  let refused: readonly string[]
  const names = Object.keys(LISTS)
  const hostOf = (list: string) => `list-${names.indexOf(list)}.test`

  beforeAll(async () => {
    scene = await makeScene()
    scene.backend.respond = (_request, response, seen) => void response.end(seen.header('VERIFIED').join())
    const serverOf = (list: string) =>
      scene.server({
        server_names: [hostOf(list)],
        ssl_client_certificate: root.certificate,
        ssl_verify_client: 'optional',
        ssl_crl: LISTS[list],
      })
    const { stderr } = await refusedStart({ config: scene.config(listenerOf(...names.map(serverOf))) })
    refused = [...stderr.matchAll(/servers\[(\d+)\]\.ssl_crl/g)].map(([, at]) => names[Number(at)] as string)
    gateway = await scene.start(listenerOf(...names.filter((list) => !refused.includes(list)).map(serverOf)))
    nginx = await freePort()
    const { certificate, key } = scene.front.files()
    const trusted = temporaryFile('root.pem', root.certificate)
    const servers = names.map(
      (list) => `server {
        listen 127.0.0.1:${nginx} ssl; server_name ${hostOf(list)};
        ssl_certificate ${certificate}; ssl_certificate_key ${key};
        ssl_client_certificate ${trusted}; ssl_verify_client optional; ssl_crl ${temporaryFile('list.pem', LISTS[list] as string)};
        location / { default_type text/plain; return 200 "$ssl_client_verify"; }
      }`,
    )
    await startNginx(nginx, `server_names_hash_bucket_size 128; ssl_session_tickets off; ${servers.join('\n')}`)
  })

  test('lists that nobody signed whom they name, and those that cannot be read as complete ones, are refused at the start', () => {
    expect(refused).toEqual(names.slice(names.indexOf('that an impostor signed')))
  })

  test.each(names)('a list %s', async (list) => {
    const told = async (port: number) => {
      const answers: string[] = []
      for (const [who, as] of Object.entries(CLIENTS)) {
        const { status, text } = await ask(port, '/', { host: hostOf(list), as })
        answers.push(`${who}: ${status === 200 ? text : status}`)
      }
      return answers
    }
    const ours = refused.includes(list) ? Object.keys(CLIENTS).map((who) => `${who}: 400`) : await told(gateway.port)
    const theirs = (await told(nginx)).map((line) => {
      const [who = ''] = line.split(':')
      return STRICTER[list]?.includes(who) ? `${who}: 400` : line
    })
    expect(ours).toEqual(theirs)
  })
})
