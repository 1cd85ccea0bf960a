/** Measurements of certificates' users: what a route costs that asks who it is, and what a million users hold. */
import { join } from 'node:path'
import { type Bench, cpuDuring, type Figures, loadWith, type Subject } from './measure.ts'
import { run } from './processes.ts'

/** Loads in turn (A, B, B, A …): what the machine does besides falls on both. */
const TURNS = 4

/** Of one length, and the upstream sees neither. */
const PATHS = { open: 'free/', mapped: 'user/' } as const

/** CPU per request of the same gateway for a route that asks for nothing, and one that asks for a user of a group. */
export async function measureMapping(bench: Bench, subject: Subject): Promise<Figures> {
  const requests = bench.sizes.requests / TURNS
  const cpu = { open: 0, mapped: 0 }
  for (let turn = 0; turn < TURNS; turn++) {
    const order = turn % 2 === 0 ? (['open', 'mapped'] as const) : (['mapped', 'open'] as const)
    for (const name of order) {
      const spent = await cpuDuring(subject, () => loadWith(bench, subject, requests, { path: PATHS[name] }))
      cpu[name] += spent / bench.sizes.requests
    }
  }
  return { openRouteCpu: cpu.open, mappedRouteCpu: cpu.mapped, mappedRatio: cpu.mapped / cpu.open }
}

export async function measureUsers({ sizes }: Bench): Promise<Figures> {
  const [email, dn] = [await manyUsers('email', sizes.users), await manyUsers('dn', sizes.users)]
  return {
    usersByEmailMb: email.megabytes,
    usersByEmailUs: email.microseconds,
    usersByDnMb: dn.megabytes,
    usersByDnUs: dn.microseconds,
  }
}

interface ManyUsers {
  readonly megabytes: number
  readonly microseconds: number
}

/** A process each: what one leaves on the heap must not count for the other. */
async function manyUsers(kind: string, count: number): Promise<ManyUsers> {
  const program = join(import.meta.dirname, 'many-users.ts')
  const output = await run(process.execPath, ['--expose-gc', '--no-warnings', program, kind, String(count)])
  return JSON.parse(output) as ManyUsers
}
