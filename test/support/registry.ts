/** The real registry (Debian's docker-registry), the real client (skopeo), and images made in the run. */

import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type Child, type Exit, run, startChild } from './children.ts'
import { ask } from './client.ts'
import { temporaryFile, temporaryFolder } from './folder.ts'
import { freePort } from './free-port.ts'
import { describeWith } from './peers.ts'
import type { Issued } from './pki.ts'
import { waitFor } from './wait.ts'

/** The host of every registry test: a real name, as clients treat loopback addresses in their own ways. */
export const HOST = 'registry.test'

export interface RegistryOptions {
  /** What the registry checks tokens with; undefined for an open one. */
  readonly token?: {
    readonly realm: string
    readonly service: string
    readonly issuer: string
    /** PEM. */
    readonly bundle: string
  }
  readonly port?: number
  readonly storage?: string
}

export interface Registry {
  readonly child: Child
  readonly port: number
  readonly storage: string
  readonly url: string
  /** The same registry again, on the same port and storage. */
  restart(): Promise<Registry>
}

export async function startRegistry(options: RegistryOptions = {}): Promise<Registry> {
  const { token, port = await freePort(), storage = temporaryFolder() } = options
  const config = {
    version: 0.1,
    log: { level: 'info', accesslog: { disabled: false } },
    storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}`, secret: 'the same after a restart' },
    ...(token && {
      auth: {
        token: {
          realm: token.realm,
          service: token.service,
          issuer: token.issuer,
          rootcertbundle: temporaryFile('bundle.pem', token.bundle),
        },
      },
    }),
  }
  const child = startChild('docker-registry', ['serve', temporaryFile('registry.yml', JSON.stringify(config))])
  const answers = () =>
    ask(port, '/', { plain: true }).then(
      ({ status }) => status === 200,
      () => false,
    )
  await waitFor('the registry', async () => !child.running || (await answers()))
  if (!child.running) throw new Error(`the registry did not start: ${(await child.exited).stderr}`)
  const restart = async () => {
    await child.stop('SIGKILL')
    return startRegistry({ ...options, port, storage })
  }
  return { child, port, storage, url: `http://127.0.0.1:${port}`, restart }
}

/** `describe` for tests with the real registry and the real client, which need a hosts file of their own for HOST. */
export function describeRegistry(name: string, tests: () => void): void {
  const { status } = spawnSync('unshare', [...NAMESPACES, 'mount', '--bind', '/dev/null', '/etc/hosts'])
  const mount = status === 0 ? [] : ['a mount namespace (root, or user namespaces)']
  describeWith(['docker-registry', 'skopeo', 'unshare', ...mount], name, tests)
}

const NAMESPACES = process.getuid?.() === 0 ? ['--mount'] : ['--map-root-user', '--mount']

/** Runs a program in a mount namespace of its own, in which HOST is this machine. */
function withHosts(command: string, args: readonly string[], env: Record<string, string> = {}): Promise<Exit> {
  const hosts = temporaryFile('hosts', `127.0.0.1 localhost ${HOST}\n`)
  const script = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
  const inside = ['sh', '-c', script, 'sh', hosts, command, ...args]
  return run('unshare', [...NAMESPACES, ...inside], { env: { HOME: temporaryFolder(), ...env } })
}

/** A folder of certificates as skopeo and Docker read them: whom to believe, and what to show. */
export function certificateFolder(authority: Issued, client?: Issued): string {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'ca.crt'), authority.certificate)
  if (client) {
    writeFileSync(join(folder, 'client.cert'), client.chain)
    writeFileSync(join(folder, 'client.key'), client.key)
  }
  return folder
}

export function skopeo(args: readonly string[]): Promise<Exit> {
  return withHosts('skopeo', ['--insecure-policy', '--override-os', 'linux', '--override-arch', 'amd64', ...args])
}

/** An image in a folder (`dir:`), with layers of random bytes of these sizes. */
export function makeImage(...sizes: readonly number[]): string {
  const folder = temporaryFolder()
  const store = (content: Buffer) => {
    const hex = createHash('sha256').update(content).digest('hex')
    writeFileSync(join(folder, hex), content)
    return { digest: `sha256:${hex}`, size: content.length }
  }
  const plain = sizes.map((size) => randomBytes(size))
  const layers = plain.map((content) => store(gzipSync(content, { level: 0 })))
  const ids = plain.map((content) => `sha256:${createHash('sha256').update(content).digest('hex')}`)
  const image = { architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: ids } }
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: {
      mediaType: 'application/vnd.docker.container.image.v1+json',
      ...store(Buffer.from(JSON.stringify(image))),
    },
    layers: layers.map((layer) => ({ mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip', ...layer })),
  }
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest))
  writeFileSync(join(folder, 'version'), 'Directory Transport Version: 1.1\n')
  return folder
}

const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
