// {TLS 1.2, 1.3} × {certificate, none} × {same name, other name, no name} × {before, after revocation} × {one worker, two}
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import type { Gateway } from '../support/gateway.ts'
import { type SessionResult, sClient } from '../support/openssl.ts'
import { describeWith } from '../support/peers.ts'
import { authority, type Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
const home = authority('home')
const abroad = authority('abroad')

beforeAll(async () => {
  scene = await makeScene()
})

interface Started {
  readonly gateway: Gateway
  /** Replaces the lists of home.test and waits until every worker has them. */
  replace(lists: string): Promise<void>
  revoke(...revoked: Issued[]): Promise<void>
  /** Reloads with other settings of home.test. */
  change(fields: object): Promise<unknown>
}

async function start(workers: number, fields: object = {}): Promise<Started> {
  const file = temporaryFile('home.crl', home.crl())
  const strangers = { ssl_client_certificate: abroad.certificate, ssl_crl: abroad.crl() }
  const trust = { ssl_client_certificate: home.certificate, ssl_crl: file, ...fields }
  const configWith = (changed: object) => ({
    workers,
    // Each list is read when the test says so, not by the second.
    reload: { watch: false },
    ...listenerOf(
      scene.server({ server_names: ['default.test'], ...strangers, ssl_verify_depth: 2 }),
      scene.server({ server_names: ['home.test'], ...trust, ...changed }),
      scene.server({ server_names: ['other.test'], ...strangers }),
    ),
  })
  const gateway = await scene.start(configWith({}))
  const reloads = () => gateway.log.filter(({ msg }) => msg === 'reloaded').length
  const replace = async (lists: string) => {
    const before = reloads()
    writeFileSync(file, lists)
    await gateway.reload()
    await waitFor('every worker to reload', () => reloads() >= before + workers)
  }
  return {
    ...{ gateway, replace, revoke: (...revoked) => replace(home.crl(revoked)) },
    change: (changed) => gateway.reload(scene.config(configWith(changed))),
  }
}

type Tls = 'tls1_2' | 'tls1_3'
interface Connect {
  readonly tls: Tls
  readonly servername?: string
  readonly host: string
  readonly as?: { readonly certificate: string; readonly key: string; readonly chain?: string }
  readonly keep?: string
  readonly resume?: string
}

function connect({ gateway }: Started, { host, ...options }: Connect): Promise<SessionResult> {
  scene.backend.reset()
  return sClient({
    port: gateway.port,
    request: `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    ...options,
  })
}

/** Whether the session was taken, the status, and what the backend was told. */
function outcome({ resumed, answers }: SessionResult): string {
  const told = scene.backend.seen.flatMap((seen) => [...seen.header('VERIFIED'), ...seen.header('DN')])
  return [resumed ? 'resumed' : 'full', ...answers.map(({ status }) => status), ...told].join(' ')
}

const ROWS = [
  // client, name, before, after
  ['a certificate', 'home.test', 'resumed 200 SUCCESS CN=ada', 'full 400'],
  ['a certificate', 'other.test', 'full 200 NONE', 'full 200 NONE'],
  ['a certificate', undefined, 'full 200 NONE', 'full 200 NONE'],
  ['no certificate', 'home.test', 'resumed 200 NONE', 'full 200 NONE'],
  ['no certificate', 'other.test', 'full 200 NONE', 'full 200 NONE'],
  ['no certificate', undefined, 'full 200 NONE', 'full 200 NONE'],
] as const

describeWith(['openssl'], 'a session', () => {
  describe.each([1, 2])('with workers: %i', (workers) => {
    let started: Started
    beforeAll(async () => {
      started = await start(workers)
    })

    describe.each<[Tls]>([['tls1_2'], ['tls1_3']])('%s', (tls) => {
      test.each(ROWS)(
        'made with %s, offered to %s: %s; after the revocation: %s',
        async (client, name, before, after) => {
          const ada = home.client('ada')
          const keep = join(temporaryFolder(), 'session.pem')
          const as = client === 'a certificate' ? { as: ada.files() } : {}
          const first = await connect(started, { tls, servername: 'home.test', host: 'home.test', keep, ...as })
          expect(first.resumed).toBe(false)
          const again = { tls, host: name ?? 'default.test', resume: keep, ...(name ? { servername: name } : {}) }
          expect(outcome(await connect(started, again))).toBe(before)
          await started.revoke(ada)
          const shown = name === 'home.test' ? as : {}
          expect(outcome(await connect(started, { ...again, ...shown, keep }))).toBe(after)
          if (after === 'full 400') {
            // The session that this handshake made.
            expect(outcome(await connect(started, again))).toBe('resumed 400')
            await started.gateway.logged({ status: 400, verify_reason: 'certificate revoked', subject: 'CN=ada' })
          }
        },
      )
    })

    test('outlives a list that only renews the one before, and a new list of another policy, but not one that is over', async () => {
      await started.revoke()
      const session = async (host: string, as = {}) => {
        const options = { tls: 'tls1_3', servername: host, host } as const
        const resume = join(temporaryFolder(), 'session.pem')
        await connect(started, { ...options, ...as, keep: resume })
        return () => connect(started, { ...options, resume })
      }
      const atHome = await session('home.test', { as: home.client('ada').files() })
      const elsewhere = await session('other.test')
      await started.revoke()
      expect(outcome(await atHome())).toBe('resumed 200 SUCCESS CN=ada')
      // Whoever would be refused has a full handshake, where he can be told why; he is known again once the list is renewed.
      await started.replace(home.crl([], { nextUpdate: -0.5 }))
      expect(outcome(await atHome())).toBe('full 200 NONE')
      await started.revoke()
      expect(outcome(await atHome())).toBe('resumed 200 SUCCESS CN=ada')
      await started.revoke(home.client('bob'))
      expect(outcome(await atHome())).toBe('full 200 NONE')
      expect(outcome(await elsewhere())).toBe('resumed 200 NONE')
    })
  })

  test('ends when pins, names, authorities or the mode are changed, also for whoever is let in by the new ones too', async () => {
    const started = await start(1)
    const ada = home.client('ada')
    const options = { tls: 'tls1_3', servername: 'home.test', host: 'home.test', as: ada.files() } as const
    const keep = join(temporaryFolder(), 'session.pem')
    expect(outcome(await connect(started, { ...options, keep }))).toBe('full 200 SUCCESS CN=ada')
    const pin = createHash('sha256')
      .update(ada.x509.publicKey.export({ type: 'spki', format: 'der' }))
      .digest('hex')
    const authorities = { ssl_client_certificate: home.certificate + authority('new').certificate }
    for (const changed of [
      { pinned_certs: [pin] },
      { ssl_verify_allow: [{ subject: { CN: 'ada' } }] },
      { ...authorities, revocation_check_mode: 'IGNORE_CA_ERROR' },
      { ssl_verify_client: 'on' },
    ]) {
      await started.change(changed)
      expect(outcome(await connect(started, { ...options, resume: keep, keep }))).toBe('full 200 SUCCESS CN=ada')
      expect(outcome(await connect(started, { ...options, resume: keep }))).toBe('resumed 200 SUCCESS CN=ada')
    }
  })

  describe('of a client below an intermediate that it sends', () => {
    test.each<[Tls]>([['tls1_2'], ['tls1_3']])('%s: the whole chain is judged again', async (tls) => {
      const started = await start(1, { ssl_crl: temporaryFile('leafs.crl', home.crl()) })
      const department = home.authority('department')
      const file = temporaryFile('lists.crl', home.crl() + department.crl())
      const fields = { server_names: ['home.test'], ssl_client_certificate: home.certificate, ssl_crl: file }
      await started.gateway.reload(scene.config(listenerOf(scene.server(fields))))
      const keep = join(temporaryFolder(), 'session.pem')
      const eve = department.client('eve')
      const options = { tls, servername: 'home.test', host: 'home.test' } as const
      const { certificate, key } = eve.files()
      // s_client sends intermediates from a file of their own.
      const as = { certificate, key, chain: temporaryFile('chain.pem', department.certificate) }
      expect(outcome(await connect(started, { ...options, as, keep }))).toBe('full 200 SUCCESS CN=eve')
      expect(outcome(await connect(started, { ...options, resume: keep }))).toBe('resumed 200 SUCCESS CN=eve')
      writeFileSync(file, home.crl([department]) + department.crl())
      await started.gateway.reload()
      expect(outcome(await connect(started, { ...options, as, resume: keep, keep }))).toBe('full 400')
      expect(outcome(await connect(started, { ...options, resume: keep }))).toBe('resumed 400')
    })
  })

  test('of a client below an intermediate is known to every worker, also to one that is started later', async () => {
    const department = home.authority('department')
    const started = await start(3)
    // Whoever is started later has never known another list.
    await started.replace(home.crl([home.client('bob')]) + department.crl())
    const keep = join(temporaryFolder(), 'session.pem')
    const options = { tls: 'tls1_3', servername: 'home.test', host: 'home.test' } as const
    const as = { ...department.client('eve').files(), chain: temporaryFile('chain.pem', department.certificate) }
    expect(outcome(await connect(started, { ...options, as, keep }))).toBe('full 200 SUCCESS CN=eve')
    // Connections go round the workers.
    const resumeOnEach = async () => {
      for (let i = 0; i < 4; i++) {
        expect(outcome(await connect(started, { ...options, resume: keep }))).toBe('resumed 200 SUCCESS CN=eve')
      }
    }
    await resumeOnEach()
    started.gateway.child.process.kill('SIGUSR2')
    await started.gateway.logged({ msg: 'all workers were replaced' }, 30)
    await resumeOnEach()
  })

  test('ends ssl_session_timeout after its full handshake, however often it was resumed', async () => {
    const timeout = 4000
    const started = await start(1, { ssl_session_timeout: `${timeout}ms` })
    const as = home.client('ada').files()
    const lifetime = async (tls: Tls) => {
      const options = { tls, servername: 'home.test', host: 'home.test' } as const
      const keep = join(temporaryFolder(), 'session.pem')
      // Until one handshake of the period can be resumed at all.
      let fullAt = 0
      await waitFor('a session that is resumed', async () => {
        fullAt = performance.now()
        await connect(started, { ...options, as, keep })
        return (await connect(started, { ...options, resume: keep, keep })).resumed
      })
      let lastOffered = fullAt
      await waitFor('the end of the session', async () => {
        const offered = performance.now()
        const { resumed } = await connect(started, { ...options, resume: keep, keep })
        if (resumed) lastOffered = offered
        return !resumed
      })
      return lastOffered - fullAt
    }
    // Both at once: they wait for the same time.
    for (const lasted of await Promise.all([lifetime('tls1_2'), lifetime('tls1_3')])) {
      expect(lasted).toBeLessThanOrEqual(timeout)
    }
  })
})
