/** The real responder: `openssl ocsp`, which answers for one authority from an index of what it has issued. */
import { writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { startChild } from './children.ts'
import { whenFileEnds } from './cleanup.ts'
import { temporaryFile, temporaryFolder } from './folder.ts'
import { freePort } from './free-port.ts'
import type { Authority, Issued } from './pki.ts'
import { waitFor } from './wait.ts'

export const OCSP_PEERS = ['openssl']

export interface ResponderOptions {
  /** Who signs; the authority itself by default. */
  readonly signer?: Issued
  readonly revoked?: readonly Issued[]
  /** Minutes until the next update; none by default, which makes openssl name no time. */
  readonly minutes?: number
}

export interface Responder {
  readonly url: string
  /** How many questions came. */
  readonly questions: number
  stop(): Promise<void>
  /** On the same port, with another list of revoked certificates. */
  start(revoked?: readonly Issued[]): Promise<void>
}

/** Answers about these certificates; about any other it says "unknown". */
export async function startResponder(
  authority: Authority,
  known: readonly Issued[],
  { signer = authority, revoked = [], minutes }: ResponderOptions = {},
): Promise<Responder> {
  const port = await freePort()
  const index = join(temporaryFolder(), 'index.txt')
  const [ca, rsigner, rkey] = [authority.certificate, signer.certificate, signer.key].map((pem) =>
    temporaryFile('x.pem', pem),
  )
  const begin = async (bad: readonly Issued[]) => {
    writeFileSync(index, known.map((each) => lineOf(each, bad.includes(each))).join(''))
    writeFileSync(`${index}.attr`, 'unique_subject = no\n')
    const files = ['-index', index, '-CA', ca as string, '-rsigner', rsigner as string, '-rkey', rkey as string]
    const life = minutes === undefined ? [] : ['-nmin', String(minutes)]
    const child = startChild('openssl', ['ocsp', '-port', String(port), ...files, ...life])
    await waitFor('the responder', () => {
      if (!child.running) throw new Error(child.stderr)
      return /waiting for OCSP client connections/i.test(child.stderr + child.stdout)
    })
    return child
  }
  let child = await begin(revoked)
  const door = await counting(port)
  return {
    url: `http://127.0.0.1:${door.port}/`,
    get questions() {
      return door.connections
    },
    async stop() {
      await child.stop('SIGKILL')
    },
    async start(bad = []) {
      child = await begin(bad)
    },
  }
}

/** openssl does not tell how often it is asked; whoever asks does so on a connection of its own. */
async function counting(target: number): Promise<{ readonly port: number; readonly connections: number }> {
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    const behind = connect(target, '127.0.0.1')
    socket.on('error', () => behind.destroy())
    behind.on('error', () => socket.destroy())
    socket.pipe(behind).pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  whenFileEnds(() => void server.close())
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections
    },
  }
}

/** One line of openssl-ca(1)'s index: status, expiry, revocation, serial, file, subject. */
function lineOf({ serial, name }: Issued, isRevoked: boolean): string {
  const digits = serial
    .toString('hex')
    .toUpperCase()
    .replace(/^00(?=.)/, '')
  return `${isRevoked ? 'R' : 'V'}\t350101000000Z\t${isRevoked ? '240101000000Z' : ''}\t${digits}\tunknown\t/CN=${name}\n`
}
