import { expect, test } from '@jest/globals'
import { createMetrics, type MetricsSnapshot } from '../../../src/metrics/metrics.ts'
import { GatheredMetrics } from '../../../src/workers/gathered-metrics.ts'

/** What a worker tells that has refused so many requests, with a certificate that ends then. */
async function snapshot(refusals: number, notAfter: number): Promise<MetricsSnapshot> {
  const metrics = createMetrics()
  for (let i = 0; i < refusals; i++) metrics.refused('GW_FORBIDDEN')
  metrics.certificates([{ role: 'server', name: 'front', notAfter, subjects: [], issuer: undefined }])
  metrics.connectionsOpen.increment()
  return metrics.snapshot()
}

/** @param start of the series: its name, with all labels or none */
const sampleOf = (text: string, start: string) => {
  const line = text.split('\n').find((each) => each.startsWith(start)) ?? ''
  return Number(line.slice(line.lastIndexOf(' ')))
}

test('counters and levels are summed up, and of dates the earliest counts', async () => {
  const workers = [await snapshot(2, 9000), await snapshot(3, 5000)]
  const text = await new GatheredMetrics(async () => workers).text()
  expect(sampleOf(text, 'sallyport_refusals_total{code="GW_FORBIDDEN"}')).toBe(5)
  expect(sampleOf(text, 'sallyport_connections_open')).toBe(2)
  expect(sampleOf(text, 'sallyport_certificate_not_after_timestamp_seconds')).toBe(5)
})

test('what an ended worker had counted stays counted, but not its levels and dates', async () => {
  let workers = [await snapshot(2, 9000)]
  const gathered = new GatheredMetrics(async () => workers)
  await gathered.keep(await snapshot(3, 5000))
  await gathered.keep(await snapshot(1, 5000))
  expect(sampleOf(await gathered.text(), 'sallyport_refusals_total{code="GW_FORBIDDEN"}')).toBe(6)
  expect(sampleOf(await gathered.text(), 'sallyport_connections_open')).toBe(1)
  expect(sampleOf(await gathered.text(), 'sallyport_certificate_not_after_timestamp_seconds')).toBe(9)
  workers = []
  expect(sampleOf(await gathered.text(), 'sallyport_refusals_total{code="GW_FORBIDDEN"}')).toBe(4)
})

test('of workers that end together none is forgotten', async () => {
  const gathered = new GatheredMetrics(async () => [])
  await Promise.all([gathered.keep(await snapshot(3, 5000)), gathered.keep(await snapshot(1, 5000))])
  expect(sampleOf(await gathered.text(), 'sallyport_refusals_total{code="GW_FORBIDDEN"}')).toBe(4)
})
