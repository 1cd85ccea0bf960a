/** The real OpenStack clients: Debian's `openstack` and keystoneauth1, in Debian's Python. */
import { join } from 'node:path'
import { type Exit, run } from './children.ts'
import { temporaryFolder } from './folder.ts'
import { PYTHON } from './keystone.ts'

export const OPENSTACK_PEERS = ['openstack']

/** `openstack ARGS` with these OS_* variables, in JSON. */
export function openstack(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Exit> {
  return run('openstack', [...args], { env: { ...usual(), OS_IDENTITY_API_VERSION: '3', ...env } })
}

/** Runs Python code that finds `keystoneauth1`, as `ka`, and its `v3`; what it prints last is JSON. */
export async function keystoneauth(code: string, values: Readonly<Record<string, unknown>>): Promise<unknown> {
  const { status, stdout, stderr } = await run(PYTHON, ['-c', `${PROLOGUE}\n${code}`, JSON.stringify(values)], {
    env: usual(),
  })
  if (status !== 0) throw new Error(`Python ended with ${status}: ${stderr}`)
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
}

const PROLOGUE = `
import json, sys, types
from keystoneauth1 import exceptions, session
from keystoneauth1.identity import v3
given = types.SimpleNamespace(**json.loads(sys.argv[1]))
def show(value): print(json.dumps(value))
`

function usual(): Record<string, string> {
  const home = temporaryFolder()
  return { HOME: home, XDG_CONFIG_HOME: join(home, 'config'), XDG_CACHE_HOME: join(home, 'cache'), LC_ALL: 'C.UTF-8' }
}
