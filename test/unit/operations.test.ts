import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config/index.ts'
import { GatewayError } from '../../src/errors.ts'
import { type AccessEntry, createAccessLog } from '../../src/log/access-log.ts'
import { fakeCertificate, fakeConnection } from '../support/fake-connection.ts'
import { temporaryFile } from '../support/folder.ts'
import { PROJECT } from '../support/gateway.ts'

const page = readFileSync(join(PROJECT, 'docs/operations.md'), 'utf8')
const section = (title: string) => page.split(`## ${title}\n`)[1]?.split('\n## ')[0] ?? ''

test('docs/operations.md has each field of a line for a request', () => {
  const lines: string[] = []
  const verification = { result: 'FAILED', reason: 'certificate has expired', code: 'CERT_HAS_EXPIRED' } as const
  const everything: AccessEntry = {
    id: 'r',
    connection: fakeConnection({ certificate: fakeCertificate(), verification }),
    request: { method: 'GET', url: '/', httpVersion: '1.1', rawHeaders: ['Host', 'a', 'User-Agent', 'b'] },
    route: { name: 'r' },
    ...{ user: 'ada', service: 's', target: 't', upstreamStatus: 200, upstreamTime: 1, attempts: 1, status: 200 },
    ...{ bytesReceived: 1, bytesSent: 1, duration: 1, termination: 'upstream' },
    error: new GatewayError('GW_UPSTREAM_CONNECT', 'no', { cause: new Error('another') }),
  }
  createAccessLog((line) => lines.push(line)).write(everything)
  const line = JSON.parse(lines.join(''))
  const names = [...Object.keys(line), ...Object.keys(line.tls)]
  expect(names.length).toBeGreaterThan(30)
  expect(names.filter((name) => !section('Logs').includes(`\`${name}\``))).toEqual([])
})

/** The arguments of a call, from behind its bracket. */
function argumentsAt(text: string, start: number): string {
  let depth = 1
  let end = start
  for (; depth > 0 && end < text.length; end++) depth += text[end] === '(' ? 1 : text[end] === ')' ? -1 : 0
  return text.slice(start, end - 1)
}

test('docs/operations.md has each other line', () => {
  const CALL = /(?:\b\w*[lL]og(?:ger)?\.(?:debug|info|warn|error|fatal)|\.#?record)\((?!schema)/g
  const calls = globSync('src/**/*.ts', { cwd: PROJECT }).flatMap((file) => {
    const text = readFileSync(join(PROJECT, file), 'utf8')
    return [...text.matchAll(CALL)].map(({ index, 0: { length } }) => argumentsAt(text, index + length))
  })
  const messages = calls.flatMap((call) => /, ['`]([a-zA-Z][^'`:;(]{4,})[^'`]*['`],?\s*$/.exec(call)?.[1]?.trim() ?? [])
  expect(messages.length).toBeGreaterThan(25)
  expect(messages.filter((message) => !section('Logs').includes(`\`${message}\``))).toEqual([])
})

test('the Deployment for Kubernetes is one that starts, and gives each stop the time that it may take', () => {
  const [, block = ''] = /```yaml\n([\s\S]*?)```/.exec(section('Kubernetes')) ?? []
  const { spec } = parse(block).spec.template
  const [container] = spec.containers
  const env: Record<string, string> = Object.fromEntries(
    container.env.map(({ name, value }: { name: string; value: string }) => [name, value]),
  )
  const loaded = loadConfig({ env: { ...env }, file: temporaryFile('empty.yaml', '# nothing') })
  const told = loaded.problems.map(({ message }) => message)
  // Only the files are missing.
  expect(told.filter((message) => !message.startsWith('names no readable file'))).toEqual([])
  expect(told).toHaveLength(Object.values(env).filter((value) => value.startsWith('/certs/')).length)
  const seconds = (name: string) => Number.parseInt(env[name] ?? '', 10)
  const stop = seconds('SALLYPORT_SHUTDOWN_DELAY') + seconds('SALLYPORT_SHUTDOWN_TIMEOUT')
  expect(spec.terminationGracePeriodSeconds).toBeGreaterThan(stop)
  const { livenessProbe, readinessProbe } = container
  expect([livenessProbe.httpGet.path, readinessProbe.httpGet.path]).toEqual(['/healthz', '/readyz'])
  expect(seconds('SALLYPORT_SHUTDOWN_DELAY')).toBeGreaterThan(
    readinessProbe.periodSeconds * readinessProbe.failureThreshold,
  )
  const mounts: { mountPath: string }[] = container.volumeMounts
  for (const path of Object.values(env).filter((value) => value.startsWith('/certs/')))
    expect(mounts.some(({ mountPath }) => path.startsWith(`${mountPath}/`))).toBe(true)
})
