import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { Agent } from 'node:https'
import { constants } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { connect } from 'node:tls'
import { beforeAll, expect, test } from '@jest/globals'
import { startChild } from '../support/children.ts'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import { Gateway, PROGRAM, refusedStart, spawnGateway, startGateway } from '../support/gateway.ts'
import { Load } from '../support/load.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor, within } from '../support/wait.ts'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})

/** The processes that serve. */
function workersOf(gateway: Gateway): number[] {
  const { pid } = gateway.child
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((text) => text !== '')
    .map(Number)
}

/** Whether a Node does not leave a signal to the kernel, which would end it. A process that is still a copy of its parent has one thread. */
function listensFor(pid: number, signal: number): boolean {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const caught = BigInt(`0x${/^SigCgt:\s*([0-9a-f]+)$/m.exec(status)?.[1]}`)
  return Number(/^Threads:\s*(\d+)$/m.exec(status)?.[1]) > 1 && ((caught >> BigInt(signal - 1)) & 1n) === 1n
}

/** How many session tickets a client has been given by the time of its answer. */
async function ticketsOf({ port }: Gateway): Promise<number> {
  const { chain: cert, key } = scene.ada
  const identity = { servername: 'localhost', rejectUnauthorized: false, cert, key }
  const socket = connect({ port, host: '127.0.0.1', minVersion: 'TLSv1.3', ...identity })
  let tickets = 0
  socket.on('session', () => {
    tickets += 1
  })
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  const answer = Buffer.concat(await socket.toArray()).toString('latin1')
  expect(answer.slice(0, 12)).toBe('HTTP/1.1 200')
  return tickets
}

/** A request on a connection of its own. */
const status = async (gateway: Gateway, path = '/') => (await gateway.get(path, { as: scene.ada })).status

async function counted(gateway: Gateway): Promise<number> {
  const { text } = await gateway.getAdmin('/metrics')
  const lines = [...text.matchAll(/^sallyport_http_requests_total\{[^}]*route="everything"[^}]*\} (\d+)$/gm)]
  return lines.reduce((sum, [, count]) => sum + Number(count), 0)
}

test('connections are shared among them, and their metrics and logs are those of one gateway', async () => {
  const gateway = await scene.start({ workers: 2 })
  expect(workersOf(gateway)).toHaveLength(2)
  const answers = await Promise.all(Array.from({ length: 20 }, () => gateway.get('/', { as: scene.ada })))
  expect(answers.map((answer) => answer.status)).toEqual(Array(20).fill(200))
  for (const answer of answers) expect(await gateway.line(answer)).toMatchObject({ status: 200 })
  expect(await counted(gateway)).toBe(20)
  const { text } = await gateway.getAdmin('/metrics')
  // Both took part, or the counters could not have been gathered from two.
  const handshakes = /^sallyport_tls_handshakes_total\{[^}]*result="success"[^}]*\} (\d+)$/m.exec(text)?.[1]
  expect(Number(handshakes)).toBe(20)
})

test('the lines of their logs stay whole, however many come at once', async () => {
  const gateway = await scene.start({ workers: 2 })
  const path = `/${'x'.repeat(3000)}`
  const clients = [await gateway.open(), await gateway.open()]
  for (const client of clients) client.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(200))
  for (const client of clients) await client.answers(200)
  await waitFor('all lines', () => gateway.log.filter((line) => line.path === path).length === 400)
})

test('the C library keeps little memory that nobody uses, unless whoever starts the gateway says otherwise', async () => {
  const arenas = async (env: Record<string, string>) => {
    const gateway = await scene.start({ workers: 2 }, { env })
    return workersOf(gateway).map((pid) => {
      return /(?:^|\0)MALLOC_ARENA_MAX=([^\0]*)/.exec(readFileSync(`/proc/${pid}/environ`, 'latin1'))?.[1]
    })
  }
  expect(await arenas({})).toEqual(['2', '2'])
  expect(await arenas({ MALLOC_ARENA_MAX: '3' })).toEqual(['3', '3'])
})

test('a full handshake gives one session ticket, unless whoever starts the gateway says otherwise', async () => {
  const given = async (env: Record<string, string>) => {
    const gateway = await scene.start({ workers: 2 }, { env })
    return ticketsOf(gateway)
  }
  expect(await given({})).toBe(1)
  expect(await given({ OPENSSL_CONF: '/dev/null' })).toBe(2)
})

test('one that dies is replaced; the connections of the others go on, and no count is forgotten', async () => {
  const gateway = await scene.start({ workers: 2 })
  const agents = Array.from({ length: 4 }, () => new Agent({ keepAlive: true, maxSockets: 1 }))
  const ask = (agent: Agent) => gateway.get('/', { as: scene.ada, agent }).then(({ status: answer }) => answer)
  expect(await Promise.all(agents.map(ask))).toEqual([200, 200, 200, 200])
  expect(await counted(gateway)).toBe(4)
  const [victim, other] = workersOf(gateway)
  process.kill(victim as number, 'SIGKILL')
  await gateway.logged({ msg: 'a worker ended: another one takes its place' })
  await waitFor('another worker', () => workersOf(gateway).length === 2)
  expect(workersOf(gateway)).toContain(other)
  const after = await Promise.allSettled(agents.map(ask))
  // Round robin gave each worker two of the four.
  expect(after.filter(({ status: kept }) => kept === 'fulfilled').length).toBeGreaterThanOrEqual(2)
  await waitFor('the count', async () => (await counted(gateway)) >= 6)
  // Nor do those of one that hangs keep Prometheus waiting, which gives up after ten seconds.
  process.kill(other as number, 'SIGSTOP')
  try {
    expect(await within(9, 'the metrics', counted(gateway))).toBeGreaterThanOrEqual(6)
  } finally {
    process.kill(other as number, 'SIGCONT')
  }
  for (const agent of agents) agent.destroy()
})

test('one that cannot be replaced, as the configuration is broken by then, is replaced once that is mended', async () => {
  const config = scene.config({ workers: 2, reload: { watch: 'off' } })
  const gateway = await startGateway({ config })
  const file = gateway.configFile as string
  writeFileSync(file, 'listeners: [{ lisstenn: 1 }]')
  process.kill(workersOf(gateway)[0] as number, 'SIGKILL')
  await gateway.logged({ msg: 'a worker could not be replaced; it is tried again' })
  expect(await status(gateway)).toBe(200)
  writeFileSync(file, JSON.stringify(config))
  await waitFor('two that serve', () => gateway.log.filter(({ msg, worker }) => msg === 'ready' && worker).length === 3)
  expect(workersOf(gateway)).toHaveLength(2)
})

test('what one had counted that dies while Prometheus asks is counted once', async () => {
  const gateway = await scene.start({ workers: 2 })
  await Promise.all(Array.from({ length: 8 }, () => status(gateway)))
  expect(await counted(gateway)).toBe(8)
  const [hanging, victim] = workersOf(gateway) as [number, number]
  // Its counts are waited for, and meanwhile those of the other one become those of a worker that has ended.
  process.kill(hanging, 'SIGSTOP')
  try {
    const asked = counted(gateway)
    // The supervisor has begun to ask by the time that it answers this.
    await gateway.getAdmin('/healthz')
    process.kill(victim, 'SIGKILL')
    expect(await asked).toBe(8)
  } finally {
    process.kill(hanging, 'SIGCONT')
  }
})

test('a reload reaches all of them, and a refused one reaches none', async () => {
  const gateway = await scene.start({ workers: 2 })
  const route = (paths: string[]) => [{ name: 'api', url: scene.backend.url, routes: [{ name: 'everything', paths }] }]
  await gateway.reload({ ...scene.config({ services: route(['/new']) }), workers: 2 })
  // The watch over the file may find the same change, and tells of its own.
  const told = (text: string) =>
    gateway.log.filter(({ msg, reason }) => reason === 'SIGHUP' && String(msg).startsWith(text))
  await waitFor('both to have it', () => told('reloaded').length === 2)
  const some = () => Promise.all(Array.from({ length: 6 }, () => status(gateway, '/new')))
  expect(await some()).toEqual(Array(6).fill(200))
  expect(await status(gateway, '/old')).toBe(404)
  await gateway.reload('listeners: [{ lisstenn: 1 }]')
  expect(await some()).toEqual(Array(6).fill(200))
  expect(told('reload refused')).toHaveLength(1)
})

test('a file that a reload has brought is watched too, also where the reload was refused for it', async () => {
  const gateway = await scene.start({ workers: 2 })
  const list = temporaryFile('list.pem', 'nothing')
  const servers = [scene.server({ ssl_crl: list, ssl_crl_check: 'leaf' })]
  await gateway.reload({ ...scene.config({ listeners: [{ listen: '127.0.0.1:0', servers }] }), workers: 2 })
  const reason = 'files changed'
  await gateway.logged({ msg: 'reload refused: the configuration in use was kept', reason })
  writeFileSync(list, scene.clients.crl())
  for (const worker of [1, 2]) await gateway.logged({ msg: 'reloaded', reason, worker })
  expect(await status(gateway)).toBe(200)
  writeFileSync(list, scene.clients.crl([scene.ada]))
  await waitFor('both to refuse her', async () => {
    const answers = await Promise.all([1, 2, 3, 4].map(() => status(gateway)))
    return answers.every((answer) => answer === 400)
  })
})

test('a reload that is asked for while they start comes once they have', async () => {
  const gateway = spawnGateway({ config: scene.config({ workers: 2 }) })
  await gateway.logged({ msg: 'ready', worker: 1 }, 15)
  gateway.child.process.kill('SIGHUP')
  await gateway.untilReady()
  await gateway.logged({ msg: 'reloaded', reason: 'SIGHUP' }, 15)
})

test('one that is being started while a reload comes has the new configuration too', async () => {
  const key = temporaryFile('key', scene.front.key)
  const servers = [scene.server({ ssl_certificate_key: key })]
  const common = { listeners: [{ listen: '127.0.0.1:0', servers }], reload: { watch: 'off' } }
  const gateway = await scene.start({ ...common, workers: 2 })
  const [victim] = workersOf(gateway)
  // The new one has read the configuration by the time that it reads its key, from a pipe, and cannot go on before.
  rmSync(key)
  execFileSync('mkfifo', [key])
  process.kill(victim as number, 'SIGKILL')
  const pipe = await open(key, 'w')
  renameSync(temporaryFile('key', scene.front.key), key)
  const services = [{ name: 'api', url: scene.backend.url, routes: [{ name: 'new', paths: ['/new'] }] }]
  await gateway.reload({ ...scene.config({ ...common, services }), workers: 2 })
  await gateway.logged({ msg: 'reloaded', worker: 2 })
  await pipe.writeFile(scene.front.key)
  await pipe.close()
  await gateway.logged({ msg: 'ready', worker: 3 })
  await waitFor('all to have it', async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => status(gateway, '/old')))
    return answers.every((answer) => answer === 404)
  })
})

/** Answers whoever opens the pipe to read; the next one who does finds another pipe. */
async function answerOne(path: string, content: string): Promise<void> {
  const pipe = await open(path, 'w')
  execFileSync('mkfifo', [`${path}.next`])
  renameSync(`${path}.next`, path)
  await pipe.writeFile(content)
  await pipe.close()
}

test('one that dies before its turn holds no reload up, and the one in its place has the new configuration', async () => {
  const key = temporaryFile('key', scene.front.key)
  const servers = [scene.server({ ssl_certificate_key: key })]
  const common = { listeners: [{ listen: '127.0.0.1:0', servers }], reload: { watch: 'off' } }
  const gateway = await scene.start({ ...common, workers: 2 })
  const [, victim] = workersOf(gateway)
  // The supervisor and then the first one read the key from a pipe, and cannot go on before.
  rmSync(key)
  execFileSync('mkfifo', [key])
  const services = [{ name: 'api', url: scene.backend.url, routes: [{ name: 'new', paths: ['/new'] }] }]
  const reloaded = gateway.reload({ ...scene.config({ ...common, services }), workers: 2 })
  await answerOne(key, scene.front.key)
  const pipe = await open(key, 'w')
  renameSync(temporaryFile('key', scene.front.key), key)
  process.kill(victim as number, 'SIGKILL')
  await gateway.logged({ msg: 'ready', worker: 3 })
  await pipe.writeFile(scene.front.key)
  await pipe.close()
  await reloaded
  // A second one begins when the first is over.
  const again = gateway.log.length
  gateway.child.process.kill('SIGHUP')
  await waitFor(
    'the next reload',
    () => gateway.log.slice(again).some(({ msg, worker }) => msg === 'reloaded' && worker === 3),
    8,
  )
  expect(gateway.log.map(({ msg }) => msg)).not.toContain('a worker does not say whether it has reloaded')
  expect(await Promise.all(Array.from({ length: 4 }, () => status(gateway, '/old')))).toEqual(Array(4).fill(404))
})

test('where one refuses what another has taken, a new one takes its place, and those after it are asked too', async () => {
  const key = temporaryFile('key', scene.front.key)
  const servers = [scene.server({ ssl_certificate_key: key })]
  const common = { listeners: [{ listen: '127.0.0.1:0', servers }], reload: { watch: 'off' } }
  const gateway = await scene.start({ ...common, workers: 3 })
  const before = workersOf(gateway)
  // The supervisor and then each of them read the key from a pipe.
  rmSync(key)
  execFileSync('mkfifo', [key])
  const services = [{ name: 'api', url: scene.backend.url, routes: [{ name: 'new', paths: ['/new'] }] }]
  const reloaded = gateway.reload({ ...scene.config({ ...common, services }), workers: 3 })
  await answerOne(key, scene.front.key)
  await answerOne(key, scene.front.key)
  await reloaded
  const pipe = await open(key, 'w')
  renameSync(temporaryFile('key', scene.front.key), key)
  await pipe.writeFile('no key')
  await pipe.close()
  const { worker } = await gateway.logged({
    msg: 'a worker refuses what another has taken: a new one takes its place',
  })
  await gateway.logged({ msg: 'reloaded', worker: worker === 2 ? 3 : 2 })
  await gateway.logged({ msg: 'ready', worker: 4 })
  await waitFor('three of them', () => workersOf(gateway).length === 3)
  expect(before.filter((pid) => workersOf(gateway).includes(pid))).toHaveLength(2)
  expect(await Promise.all(Array.from({ length: 6 }, () => status(gateway, '/old')))).toEqual(Array(6).fill(404))
})

test.each([
  ['SALLYPORT_SSL_CERTIFICATE_KEY_FILE', 1],
  ['SALLYPORT_SSL_CERTIFICATE_KEY_FILE', 2],
  ['SALLYPORT_SSL_CERTIFICATE_KEY', 2],
])(
  "%s from the shell's <(command), which can be read only once, serves %d of them, and reloads",
  async (name, workers) => {
    const listeners = [{ listen: '127.0.0.1:0', servers: [scene.server({ ssl_certificate_key: undefined })] }]
    const file = temporaryFile('gateway.yaml', JSON.stringify(scene.config({ workers, listeners })))
    const script = `${name}=<(cat "$0") exec "$@"`
    const command = [process.execPath, PROGRAM, 'run', '-c', file]
    const gateway = new Gateway(startChild('bash', ['-c', script, scene.front.files().key, ...command], {}), file)
    await gateway.untilReady()
    expect(await gateway.reload()).toMatchObject({ msg: 'reloaded' })
    expect(await Promise.all([1, 2].map(() => status(gateway)))).toEqual([200, 200])
  },
)

test('SIGUSR1, by which nginx opens its logs anew, opens no debugger in any of them', async () => {
  const gateway = await scene.start({ workers: 2 })
  const workers = workersOf(gateway)
  for (const pid of [gateway.child.pid, ...workers]) process.kill(pid, 'SIGUSR1')
  await gateway.logged({
    level: 'info',
    msg: 'SIGUSR1: there is no log file to open anew, the log goes to standard output',
  })
  expect(await Promise.all([1, 2].map(() => status(gateway)))).toEqual([200, 200])
  expect(workersOf(gateway)).toEqual(workers)
  expect((await gateway.stop()).stderr).toBe('')
})

test('nor in a worker that has just been started', async () => {
  const gateway = spawnGateway({ config: scene.config({ workers: 2 }) })
  const worker = await waitFor('a worker', () => workersOf(gateway)[0])
  await waitFor('somebody who listens for SIGUSR1', () => listensFor(worker, constants.signals.SIGUSR1))
  process.kill(worker, 'SIGUSR1')
  await gateway.untilReady()
  expect((await gateway.stop()).stderr).toBe('')
})

test('SIGUSR2 replaces all of them while no request is refused or lost, on new connections and on kept ones', async () => {
  const gateway = await scene.start({ workers: 2 })
  const before = workersOf(gateway)
  const load = new Load(gateway, scene.ada)
  await load.goesOn()
  gateway.child.process.kill('SIGUSR2')
  await gateway.logged({ msg: 'all workers were replaced' }, 20)
  await load.goesOn()
  await waitFor('the old ones to end', () => workersOf(gateway).length === 2)
  await load.stop()
  expect(load.failures).toEqual([])
  expect(workersOf(gateway).filter((pid) => before.includes(pid))).toEqual([])
})

test.each(['moved away', 'removed'])(
  'new ones read what stands at the path of the start, where its folder was %s',
  async (how) => {
    const cwd = join(temporaryFolder(), 'release')
    const release = (deny: object[]) => {
      mkdirSync(cwd)
      const services = [{ name: 'api', url: scene.backend.url, deny, routes: [{ paths: ['/'] }] }]
      const config = scene.config({ services, workers: 2, reload: { watch: false } })
      writeFileSync(join(cwd, 'gateway.yaml'), JSON.stringify(config))
    }
    release([])
    const gateway = await startGateway({ cwd, args: ['-c', 'gateway.yaml'] })
    expect(await status(gateway)).toBe(200)
    if (how === 'removed') rmSync(cwd, { recursive: true })
    else renameSync(cwd, `${cwd}.old`)
    release([{ methods: ['GET'] }])
    gateway.child.process.kill('SIGUSR2')
    await gateway.logged({ msg: 'all workers were replaced' })
    expect(await Promise.all([1, 2].map(() => status(gateway)))).toEqual([403, 403])
  },
)

test('one that dies while they are replaced is replaced once', async () => {
  const gateway = await scene.start({ workers: 3 })
  const [, second, third] = workersOf(gateway)
  gateway.child.process.kill('SIGUSR2')
  await waitFor('the first new one', () => workersOf(gateway).length === 4)
  process.kill(third as number, 'SIGKILL')
  await gateway.logged({ msg: 'draining', worker: 1 })
  process.kill(second as number, 'SIGKILL')
  await gateway.logged({ msg: 'all workers were replaced' }, 20)
  await gateway.reload()
  await waitFor('three of them', () => workersOf(gateway).length === 3)
  expect(await Promise.all([1, 2, 3].map(() => status(gateway)))).toEqual([200, 200, 200])
  expect(gateway.log.filter(({ msg }) => msg === 'a worker ended: another one takes its place')).toHaveLength(2)
})

test('a storm of signals is one replacement more, and one reload: no queue of them forms', async () => {
  const gateway = await scene.start({ workers: 2 })
  const signal = async (name: NodeJS.Signals, times: number) => {
    for (let i = 0; i < times; i++) {
      gateway.child.process.kill(name)
      // The system tells of several that are there at once only once.
      await setTimeout(20)
    }
  }
  const count = (msg: string) => gateway.log.filter((line) => line.msg === msg).length
  await signal('SIGUSR2', 1)
  await waitFor('a third worker', () => workersOf(gateway).length === 3)
  await signal('SIGHUP', 5)
  await signal('SIGUSR2', 5)
  await waitFor('the reload', () => count('reloaded') === 2)
  await waitFor('the last one', () => count('all workers were replaced') === 2)
  // Whatever else were to be done would be done before it.
  await gateway.reload()
  await waitFor('the reload of both', () => count('reloaded') === 4)
  expect(count('all workers were replaced')).toBe(2)
})

test('SIGTERM while they are replaced leaves none that takes new connections, and loses no request', async () => {
  const gateway = await scene.start({ workers: 2, shutdown: { timeout: '5m' } })
  const held = Promise.withResolvers<void>()
  scene.backend.respond = (_request, response) => void held.promise.then(() => response.end('late'))
  const asked = gateway.get('/', { as: scene.ada })
  await waitFor('the request', () => scene.backend.seen.length > 0)
  gateway.child.process.kill('SIGUSR2')
  await waitFor('a third worker', () => workersOf(gateway).length === 3)
  gateway.child.process.kill('SIGTERM')
  // It has started by then, or is not going to.
  await gateway.logged({ msg: 'draining', worker: 3 })
  await waitFor('nobody who listens', () =>
    gateway.open({ as: scene.ada }).then(
      (connection) => {
        connection.destroy()
        return false
      },
      () => true,
    ),
  )
  held.resolve()
  expect((await asked).text).toBe('late')
  scene.backend.reset()
  expect(await gateway.child.exited).toMatchObject({ status: 0 })
})

test('SIGTERM drains all of them, and the gateway ends with status 0', async () => {
  const gateway = await scene.start({ workers: 2 })
  const pids = workersOf(gateway)
  expect(await within(10, 'the end', gateway.stop())).toMatchObject({ status: 0, signal: null })
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow()
})

test('what keeps it from starting is told once', async () => {
  const exit = await scene.start({ workers: 2, listeners: [{ listen: '192.0.2.1:1' }] }).then(
    () => undefined,
    (error: Error) => error.message,
  )
  expect(exit).toContain('sallyport cannot start')
})

test('a defect that keeps a worker from starting ends the gateway, and is told', async () => {
  // What only a worker calls, once it has read its configuration.
  const breaks = temporaryFile(
    'breaks.mjs',
    "globalThis.WeakRef = class { constructor() { throw new TypeError('a defect of this test') } }",
  )
  const env = { NODE_OPTIONS: `--import ${breaks}` }
  const { status: code, stdout } = await refusedStart({ config: scene.config({ workers: 2 }), env })
  expect(code).toBe(1)
  expect(stdout).toContain('a defect of this test')
  expect(stdout).toContain('the worker ended before it served')
})

test('keys do not show in the environment of any of them', async () => {
  const { own, inside } = scene
  const gateway = await scene.start(
    { workers: 2, proxy: { proxy_ssl_trusted_certificate: inside.certificate } },
    { env: { SECRET_CLIENT_KEY: own.key, SECRET_CLIENT_CERT: own.chain } },
  )
  expect(await status(gateway)).toBe(200)
  for (const pid of workersOf(gateway)) {
    expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain('SECRET_CLIENT_KEY')
  }
})
