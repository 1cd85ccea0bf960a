/**
 * Many clients at once, in processes of their own: each process holds as many connections as it is told to, every one with a request answered on it.
 *
 * A handshake costs its client as much as the gateway, but real crowds compute elsewhere: here they take only what others leave of the processors, or the
 * gateway, its upstream and whoever measures would wait for them and not for the gateway. That holds for each gateway alike.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { connect, createSecureContext, type TLSSocket } from 'node:tls'
import { KEY_EXCHANGE } from './client.ts'
import type { Pki } from './pki.ts'

/** How long one connection may take among all that are opened at once. */
const LIMIT_MS = 60_000
/** A third of the weight that others have: it goes on, if slowly, where others want all of the processors (sched(7)). */
const NICENESS = 5

interface Order {
  readonly pki: Pki
  readonly port: number
  readonly count: number
  readonly atOnce: number
  /** Of the client: one address has some 28,000 ports. */
  readonly localAddress: string
}

export interface Crowd {
  /** Resolves once all of them have an answer. */
  open(count: number, atOnce: number): Promise<void>
  /** How many the gateway has closed. */
  lost(): Promise<number>
  leave(): void
}

export function startCrowd(pki: Pki, port: number, processes: number): Crowd {
  const members = Array.from({ length: processes }, () =>
    // In a session of its own, as priorities count only within one where the kernel groups processes by session.
    fork(import.meta.filename, ['crowd'], { execArgv: ['--max-semi-space-size=16'], detached: true }),
  )
  return {
    async open(count, atOnce) {
      const share = { pki, port, count: Math.ceil(count / processes), atOnce: Math.ceil(atOnce / processes) }
      await Promise.all(
        members.map((member, i) => told(member, { ...share, localAddress: `127.0.0.${2 + i}` } satisfies Order)),
      )
    },
    async lost() {
      const counts = await Promise.all(members.map((member) => told(member, 'lost')))
      return counts.reduce((sum, count) => sum + count, 0)
    },
    leave() {
      for (const member of members) member.kill('SIGKILL')
    },
  }
}

async function told(member: ChildProcess, order: Order | 'lost'): Promise<number> {
  const ended = once(member, 'exit').then(([status]) =>
    Promise.reject(new Error(`a crowd of clients ended: ${status}`)),
  )
  ended.catch(() => {})
  member.send(order)
  const [answer] = (await Promise.race([once(member, 'message'), ended])) as [{ count?: number; error?: string }]
  if (answer.error !== undefined) throw new Error(answer.error)
  return answer.count ?? 0
}

const held: TLSSocket[] = []

async function open({ pki, port, count, atOnce, localAddress }: Order): Promise<void> {
  const identity = { cert: readFileSync(pki.client.certificate), key: readFileSync(pki.client.key) }
  // Read once: with a context for each connection the clients would cost half as much again.
  const secureContext = createSecureContext({ ca: readFileSync(pki.ca), ecdhCurve: KEY_EXCHANGE, ...identity })
  const options = { host: '127.0.0.1', port, localAddress, servername: 'localhost', secureContext }
  const one = () =>
    new Promise<TLSSocket>((resolve, reject) => {
      const socket = connect(options, () => socket.write(`GET / HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`))
      socket.setTimeout(LIMIT_MS, () => socket.destroy(new Error('no answer on a new connection')))
      socket.once('error', reject).once('close', () => reject(new Error('a new connection was closed')))
      socket.once('data', () => {
        socket.setTimeout(0)
        resolve(socket)
      })
    })
  for (let left = count; left > 0; left -= atOnce) {
    held.push(...(await Promise.all(Array.from({ length: Math.min(atOnce, left) }, one))))
  }
}

/** sched(7), "The autogroup feature": the nice value of a session's group is a file, and not there where the kernel has no such groups. */
function giveWay(): void {
  setPriority(NICENESS)
  try {
    writeFileSync('/proc/self/autogroup', String(NICENESS))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // Without privileges it is taken once in a tenth of a second from all processes of the machine together.
    if (code === 'EAGAIN') setTimeout(giveWay, 50 + (process.pid % 200))
    else if (code !== 'ENOENT') throw error
  }
}

if (process.argv[2] === 'crowd') {
  giveWay()
  process.on('message', (order: Order | 'lost') => {
    const done =
      order === 'lost'
        ? Promise.resolve(held.filter((socket) => socket.closed || socket.readableEnded).length)
        : open(order).then(() => held.length)
    done.then(
      (count) => process.send?.({ count }),
      (error: Error) => process.send?.({ error: error.message }),
    )
  })
  process.once('disconnect', () => process.exit())
}
