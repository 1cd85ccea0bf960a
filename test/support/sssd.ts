/** A D-Bus of the test's own, and on it a service that answers as SSSD's InfoPipe does. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Child, startChild } from './children.ts'
import { temporaryFolder } from './folder.ts'
import { findCommand } from './peers.ts'
import { waitFor } from './wait.ts'

export const SSSD_PEERS = ['dbus-daemon', 'dbus-run-session']
const SERVICE = fileURLToPath(new URL('sssd.py', import.meta.url))

export interface Sssd {
  /** For DBUS_SYSTEM_BUS_ADDRESS. */
  readonly bus: string
  /** `NAME.pem` in it makes its owner a user. */
  readonly users: string
  stop(): Promise<void>
  start(): Promise<void>
}

export async function startSssd(): Promise<Sssd> {
  const folder = temporaryFolder()
  const users = temporaryFolder()
  const bus = `unix:path=${join(folder, 'bus')}`
  const file = join(folder, 'bus.conf')
  writeFileSync(file, CONFIGURATION.replace('ADDRESS', bus))
  const daemon = startChild(findCommand('dbus-daemon') ?? 'dbus-daemon', [
    `--config-file=${file}`,
    '--nofork',
    '--print-address',
  ])
  await printed(daemon, 'unix:')
  const begin = async () => {
    // Debian's own Python is the one that has its packages.
    const child = startChild('/usr/bin/python3', [SERVICE, users], { env: { DBUS_SYSTEM_BUS_ADDRESS: bus } })
    await printed(child, 'ready')
    return child
  }
  let service = await begin()
  return {
    bus,
    users,
    async stop() {
      await service.stop()
    },
    async start() {
      service = await begin()
    },
  }
}

async function printed(child: Child, text: string): Promise<void> {
  await waitFor(`"${text}"`, () => {
    if (!child.running) throw new Error(`it ended: ${child.stderr}`)
    return child.stdout.includes(text)
  })
}

const CONFIGURATION = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>ADDRESS</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
    <allow user="*"/>
  </policy>
</busconfig>
`
