import { describe, expect, test } from '@jest/globals'
import { addUp } from '../../../src/metrics/exposition.ts'
import { createMetrics, type Metrics } from '../../../src/metrics/metrics.ts'
import { verifyResult } from '../../../src/metrics/verify-result.ts'
import { atOnce } from '../../../src/slices.ts'

const FINISHED = { status: 200, duration: 4, upstreamTime: 2, attempts: 1, bytesReceived: 10, bytesSent: 100 }

async function series(metrics: Metrics, name: string): Promise<string[]> {
  return (await metrics.text()).split('\n').filter((line) => line.startsWith(name))
}

describe('metrics', () => {
  test('requests are counted by route, service and status', async () => {
    const metrics = createMetrics()
    const route = metrics.route('shop', 'api')
    route.finished(FINISHED)
    route.finished(FINISHED)
    route.finished({ ...FINISHED, status: 502, attempts: 3, upstreamTime: undefined })
    metrics.unrouted.finished({ ...FINISHED, status: 404, upstreamTime: undefined })
    expect(await series(metrics, 'sallyport_http_requests_total')).toEqual([
      'sallyport_http_requests_total{route="",service="",code="404"} 1',
      'sallyport_http_requests_total{route="shop",service="api",code="200"} 2',
      'sallyport_http_requests_total{route="shop",service="api",code="502"} 1',
    ])
    expect(await series(metrics, 'sallyport_upstream_retries_total{route="shop"')).toEqual([
      'sallyport_upstream_retries_total{route="shop",service="api"} 2',
    ])
    expect(await series(metrics, 'sallyport_http_bytes_total{route="shop"')).toEqual([
      'sallyport_http_bytes_total{route="shop",service="api",direction="received"} 30',
      'sallyport_http_bytes_total{route="shop",service="api",direction="sent"} 300',
    ])
    expect(await series(metrics, 'sallyport_upstream_duration_seconds_count{route="shop"')).toEqual([
      'sallyport_upstream_duration_seconds_count{route="shop",service="api"} 2',
    ])
  })

  test('durations are a cumulative histogram in seconds', async () => {
    const metrics = createMetrics()
    for (const duration of [0.5, 1, 4, 1000, 100_000]) metrics.route('r', 's').finished({ ...FINISHED, duration })
    const buckets = await series(metrics, 'sallyport_http_request_duration_seconds_bucket{route="r"')
    const counts = Object.fromEntries(
      buckets.map((line) => [/le="([^"]+)"/.exec(line)?.[1], Number(line.split(' ')[1])]),
    )
    expect(counts).toMatchObject({ '0.001': 2, '0.0025': 2, '0.005': 3, '0.5': 3, '1': 4, '60': 4, '+Inf': 5 })
    expect(await series(metrics, 'sallyport_http_request_duration_seconds_sum{route="r"')).toEqual([
      'sallyport_http_request_duration_seconds_sum{route="r",service="s"} 101.0055',
    ])
    expect(await series(metrics, 'sallyport_http_request_duration_seconds_count{route="r"')).toEqual([
      'sallyport_http_request_duration_seconds_count{route="r",service="s"} 5',
    ])
  })

  test('a hostile upstream cannot make series of statuses that HTTP does not have', async () => {
    const metrics = createMetrics()
    for (const status of [600, 777, 999, 0, Number.NaN]) metrics.route('r', 's').finished({ ...FINISHED, status })
    expect(await series(metrics, 'sallyport_http_requests_total{route="r"')).toEqual([
      'sallyport_http_requests_total{route="r",service="s",code="0"} 5',
    ])
  })

  test('what an alarm may be about is counted from 0, since a rate does not see the step from nothing to 1', async () => {
    const text = await createMetrics().text()
    for (const labels of ['refusals_total{code="GW_UPSTREAM_TLS"}', 'tls_client_verify_total{result="crl_expired"}'])
      expect(text).toContain(`sallyport_${labels} 0\n`)
    for (const limit of ['max_connections', 'open_files', 'max_connections_per_address', 'connection_rate_limit'])
      expect(text).toContain(`sallyport_connections_refused_total{limit="${limit}"} 0\n`)
    for (const limit of ['upstream_max_connections', 'open_files'])
      expect(text).toContain(`sallyport_upstream_connections_refused_total{limit="${limit}"} 0\n`)
    for (const result of ['crl_missing', 'crl_expired', 'crl_not_yet_valid'])
      expect(text).toContain(`sallyport_crl_errors_ignored_total{result="${result}"} 0\n`)
    expect(text).toContain('sallyport_crl_fetches_total{result="error"} 0\n')
  })

  test('the counters of a route go on after a reload', async () => {
    const metrics = createMetrics()
    expect(metrics.route('a', 's')).toBe(metrics.route('a', 's'))
    expect(metrics.route('a', 's')).not.toBe(metrics.route('a', 't'))
    expect(metrics.route('', '')).toBe(metrics.unrouted)
  })

  test('the counters of a route or service that is gone are forgotten with the second configuration without it', async () => {
    const metrics = createMetrics()
    metrics.namesInUse(['old', 'kept', 's1', 's2'])
    for (const [route, service] of [
      ['old', 's1'],
      ['old', ''],
      ['kept', 's1'],
      ['kept', 's2'],
    ] as const)
      metrics.route(route, service).finished(FINISHED)
    metrics.unrouted.finished(FINISHED)
    const counted = async () => (await metrics.text()).match(/(?<=^sallyport_http_requests_total\{).*(?=,code)/gm)
    const OLD = ['route="old",service="s1"', 'route="old",service=""', 'route="kept",service="s2"']
    const KEPT = ['route="",service=""', 'route="kept",service="s1"']
    metrics.namesInUse(['kept', 's1'])
    expect((await counted())?.sort()).toEqual([...KEPT, ...OLD].sort())
    metrics.namesInUse(['kept', 's1'])
    expect(await counted()).toEqual(KEPT)
    expect(metrics.route('', '')).toBe(metrics.unrouted)
  })

  test('handshakes, verifications, refusals and levels', async () => {
    const metrics = createMetrics()
    metrics.handshake({ result: 'success', version: 'TLSv1.3', resumed: true })
    metrics.handshake({ result: 'success', version: 'TLSv1.3', resumed: true })
    metrics.handshake({ result: 'error', version: '', resumed: false })
    metrics.clientVerified('revoked')
    metrics.refused('GW_MISDIRECTED')
    metrics.connectionsOpen.increment()
    metrics.connectionsOpen.increment()
    metrics.connectionsOpen.decrement()
    metrics.requestsInFlight.increment()
    const text = await metrics.text()
    expect(text).toContain('sallyport_tls_handshakes_total{result="success",version="TLSv1.3",resumed="true"} 2')
    expect(text).toContain('sallyport_tls_handshakes_total{result="error",version="",resumed="false"} 1')
    expect(text).toContain('sallyport_tls_client_verify_total{result="revoked"} 1')
    expect(text).toContain('sallyport_refusals_total{code="GW_MISDIRECTED"} 1')
    expect(text).toContain('sallyport_connections_open 1')
    expect(text).toContain('sallyport_http_requests_in_flight 1')
  })

  test('connections to upstreams are asked for at the scrape; two of one name during a reload are one series', async () => {
    const metrics = createMetrics()
    const remove = metrics.upstreamConnections('api', () => ({ active: 1, idle: 2 }))
    metrics.upstreamConnections('api', () => ({ active: 10, idle: 20 }))
    expect(await series(metrics, 'sallyport_upstream_connections{')).toEqual([
      'sallyport_upstream_connections{service="api",state="active"} 11',
      'sallyport_upstream_connections{service="api",state="idle"} 22',
    ])
    remove()
    expect(await series(metrics, 'sallyport_upstream_connections{')).toContain(
      'sallyport_upstream_connections{service="api",state="active"} 10',
    )
  })

  test('certificates and CRLs tell when they end; what a reload removed is gone, and of one name the first to end counts', async () => {
    const metrics = createMetrics()
    const shown = { subjects: ['CN=never a label'], issuer: undefined }
    metrics.certificates([{ role: 'server', name: 'old', notAfter: 1000, ...shown }])
    metrics.certificates([
      { role: 'ca', name: 'root', notAfter: 5000, ...shown },
      { role: 'ca', name: 'root', notAfter: 4000, ...shown },
      { role: 'client', name: 'say "hi"\n', notAfter: 9000, ...shown },
    ])
    metrics.crls(() => [{ name: 'root', nextUpdate: 3000 }])
    expect(await series(metrics, 'sallyport_certificate_not_after_timestamp_seconds')).toEqual([
      'sallyport_certificate_not_after_timestamp_seconds{role="ca",name="root"} 4',
      'sallyport_certificate_not_after_timestamp_seconds{role="client",name="say \\"hi\\"\\n"} 9',
    ])
    expect(await series(metrics, 'sallyport_crl_next_update')).toEqual([
      'sallyport_crl_next_update_timestamp_seconds{name="root"} 3',
    ])
  })

  test('a failed reload shows, and keeps the time of the last that succeeded', async () => {
    const metrics = createMetrics()
    expect(await series(metrics, 'sallyport_config_reload')).toEqual([])
    metrics.reloaded(true)
    const [, time] = await series(metrics, 'sallyport_config_reload_success')
    expect(time).toMatch(/timestamp_seconds 1\d{9}/)
    metrics.reloaded(false)
    expect(await series(metrics, 'sallyport_config_reload_success')).toEqual([
      'sallyport_config_reload_success 0',
      time,
    ])
  })

  test('every metric of ours has a help text and our prefix, and the process has its own', async () => {
    const text = await createMetrics().text()
    expect(text).toContain('process_cpu_seconds_total')
    expect(text.match(/^# HELP sallyport_\w+ .+/gm)?.length).toBe(text.match(/^# TYPE sallyport_/gm)?.length)
  })

  test('several workers’ metrics add up, while of dates and successes the worst counts', async () => {
    const [one, two] = [createMetrics(), createMetrics()]
    for (const metrics of [one, two]) metrics.route('r', 's').finished(FINISHED)
    one.reloaded(true)
    two.reloaded(false)
    const text = atOnce(addUp([(await one.snapshot()).own, (await two.snapshot()).own]))
    expect(text).toContain('sallyport_http_requests_total{route="r",service="s",code="200"} 2')
    expect(text).toContain('sallyport_http_request_duration_seconds_count{route="r",service="s"} 2')
    expect(text).toContain('sallyport_config_reload_success 0')
  })
})

test.each([
  ['CERT_HAS_EXPIRED', 'expired'],
  ['CERT_REVOKED', 'revoked'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'untrusted'],
  ['INVALID_PURPOSE', 'purpose'],
  ['CRL_HAS_EXPIRED', 'crl_expired'],
  ['constructor', 'other'],
])('a verification that failed with %s counts as %s', (code, result) => {
  expect(verifyResult(code)).toBe(result)
})
