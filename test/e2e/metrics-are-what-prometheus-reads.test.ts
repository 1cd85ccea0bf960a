import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { type Gateway, PROJECT } from '../support/gateway.ts'
import { authority } from '../support/pki.ts'
import { readMetrics } from '../support/prometheus.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

const STRANGE = 'a "name"\\ with\nall {that="is"}, escaped ü'
const DOCUMENTED = readFileSync(join(PROJECT, 'docs/operations.md'), 'utf8').split('## Metrics\n')[1] ?? ''

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})

describe.each([1, 2])('with %i workers', (workers) => {
  let gateway: Gateway
  beforeAll(async () => {
    const service = { name: STRANGE, url: scene.backend.url, routes: [{ name: STRANGE, paths: ['/'] }] }
    const server = scene.server({ ssl_verify_client: 'optional', ssl_crl: scene.clients.crl() })
    gateway = await scene.start({ ...listenerOf(server), workers, services: [service] })
  })
  const families = async () => readMetrics((await gateway.getAdmin('/metrics')).text)

  test('every line is in its text format, whatever names services and routes have', async () => {
    await gateway.get('/', { as: scene.ada })
    const requests = (await families()).find(({ name }) => name === 'sallyport_http_requests_total')
    expect(requests?.samples).toContainEqual(
      expect.objectContaining({ labels: { route: STRANGE, service: STRANGE, code: '200' } }),
    )
  })

  test('each metric of ours is documented with its labels, and every counter is called one', async () => {
    for (const { name, type, samples } of await families()) {
      if (!name.startsWith('sallyport_')) continue
      expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter'])
      const row = DOCUMENTED.split('\n').find((line) => line.includes(`\`${name.slice('sallyport_'.length)}\``)) ?? ''
      expect([name, row]).toEqual([name, expect.stringMatching(/^\| /)])
      for (const label of Object.keys(samples[0]?.labels ?? {}).filter((each) => each !== 'le'))
        expect([name, row]).toEqual([name, expect.stringContaining(`\`${label}\``)])
    }
  })

  test('no client makes a series: not by names, paths, methods, statuses or certificates', async () => {
    const strangers = authority('strangers')
    const all = async () => (await families()).filter(({ name }) => name.startsWith('sallyport_'))
    const count = async () => (await all()).reduce((sum, { samples }) => sum + samples.length, 0)
    const ask = (i: number) =>
      gateway.get(`/${i}`, { as: strangers.client(`c${i}`), host: `h${i}.test`, method: `METHOD${i}` })
    await ask(0)
    const before = await count()
    for (let i = 1; i <= 8; i++) await ask(i)
    expect(await count()).toBe(before)
  })
})

test('the series of a route that is gone end, and generated names do not pile up', async () => {
  const configuration = (name: string) => ({
    services: [{ name: 'api', url: scene.backend.url, routes: [{ name, paths: ['/'] }] }],
  })
  const gateway = await scene.start(configuration('build-0'))
  const routes = async () => {
    const text = (await gateway.getAdmin('/metrics')).text
    return text.match(/(?<=^sallyport_http_requests_total\{route=")build-\d+/gm)
  }
  for (const build of [1, 2, 3]) {
    await gateway.get('/', { as: scene.ada })
    await gateway.reload(scene.config(configuration(`build-${build}`)))
  }
  await gateway.get('/', { as: scene.ada })
  expect(await routes()).toEqual(['build-2', 'build-3'])
})
