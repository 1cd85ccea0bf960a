import { expect, jest, test } from '@jest/globals'
import { loadConfig } from '../../../src/config/index.ts'
import { createLog } from '../../../src/log/log.ts'
import { createMetrics } from '../../../src/metrics/metrics.ts'
import { createLasting } from '../../../src/runtime/lasting.ts'
import { Materials } from '../../../src/runtime/materials.ts'
import { buildRuntimeBeside } from '../../../src/runtime/runtime.ts'
import { temporaryFile } from '../../support/folder.ts'
import { authority } from '../../support/pki.ts'

type Reading = 'keyPair' | 'trustStore' | 'revocationLists'

/** Longer than a reload computes in one turn of the event loop. */
function compute(): void {
  for (const end = performance.now() + 5; performance.now() < end; );
}

/** Notes in which turn of the event loop each is read first, and takes long for it. */
function slowReadings() {
  let turn = 0
  const next = () => {
    turn += 1
    timer = setImmediate(next)
  }
  let timer = setImmediate(next)
  const turns = new Map<Reading, number>()
  for (const name of ['keyPair', 'trustStore', 'revocationLists'] as const) {
    const read = Materials.prototype[name] as (...settings: unknown[]) => unknown
    jest.spyOn(Materials.prototype, name).mockImplementation(function (this: Materials, ...settings: unknown[]) {
      if (!turns.has(name)) turns.set(name, turn)
      compute()
      return read.apply(this, settings) as never
    })
  }
  return { turns, stop: () => clearImmediate(timer) }
}

test('what one server needs is not all read in one turn of the event loop, where a reload finds no more than that', async () => {
  const [clients, front] = [authority('clients'), authority('servers').server('localhost')]
  const server = {
    server_names: ['localhost'],
    ssl_certificate: front.chain,
    ssl_certificate_key: front.key,
    ssl_client_certificate: clients.certificate,
    ssl_verify_client: 'on',
    ssl_crl: temporaryFile('list.pem', clients.crl([])),
  }
  const config = {
    listeners: [{ listen: '127.0.0.1:0', servers: [server] }],
    services: [{ name: 'api', url: 'http://127.0.0.1:9', routes: [{ name: 'everything', paths: ['/'] }] }],
  }
  const loaded = loadConfig({ file: temporaryFile('gateway.yaml', JSON.stringify(config)), env: {} })
  const readings = slowReadings()
  const runtime = await buildRuntimeBeside(loaded, createLasting(createLog({ level: 'silent' }), createMetrics()))
  readings.stop()
  runtime.close()
  const { turns } = readings
  expect([...turns.keys()]).toEqual(['keyPair', 'trustStore', 'revocationLists'])
  expect(new Set(turns.values()).size).toBe(3)
})
