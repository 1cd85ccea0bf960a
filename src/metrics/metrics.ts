/**
 * All metrics are defined here. Their names begin with `sallyport_`. No label holds a certificate's subject, its serial number, or anything else that
 * a client can choose: each value would make a new series.
 */
import { collectDefaultMetrics, type MetricObjectWithValues, type MetricValue, Registry } from 'prom-client'
import { ERROR_CODES, type ErrorCode } from '../errors.ts'
import { buildInfo } from '../process/build-info.ts'
import { inSlices } from '../slices.ts'
import { type ConnectionMetrics, connectionMetrics } from './connections.ts'
import {
  Counts,
  createLevel,
  type FinishedRequest,
  type Level,
  type MetricFamily,
  type MetricType,
  type Register,
  RouteCounts,
  type Sample,
  single,
} from './counts.ts'
import { expose } from './exposition.ts'
import { CLIENT_VERIFY_RESULTS, type ClientVerifyResult } from './verify-result.ts'

export interface HandshakeLabels {
  readonly result: 'success' | 'error' | 'timeout'
  /** `TLSv1.3`; empty where the handshake failed before it was chosen. */
  readonly version: string
  readonly resumed: boolean
}

/** The counters of one route. */
export interface RouteMetrics {
  finished(request: FinishedRequest): void
}

export interface CertificateInUse {
  readonly role: 'server' | 'client' | 'signing' | 'ca'
  readonly name: string
  /** Milliseconds since the epoch. */
  readonly notAfter: number
  /** Of it and of what is sent with it; no label has them, since there may be thousands. */
  readonly subjects: readonly string[]
  /** Whoever certified the last of them; undefined where it did so itself. */
  readonly issuer: string | undefined
}

export interface CrlInUse {
  readonly name: string
  /** Milliseconds since the epoch. */
  readonly nextUpdate: number
}

export interface MetricsSnapshot {
  /** Of Node and the process, as prom-client adds them up. */
  readonly process: readonly MetricObjectWithValues<MetricValue<string>>[]
  /** Ours, in the text format. */
  readonly own: string
}

export interface Metrics extends ConnectionMetrics {
  readonly contentType: string
  /** Everything in Prometheus's text format. */
  text(): Promise<string>
  /** Everything, for gathering from several workers. */
  snapshot(): Promise<MetricsSnapshot>

  handshake(labels: HandshakeLabels): void
  clientVerified(result: ClientVerifyResult): void
  /** A client was let in although a revocation list was missing or not current (revocation_check_mode IGNORE_CA_ERROR). */
  crlErrorIgnored(result: ClientVerifyResult): void
  crlFetched(succeeded: boolean): void
  refused(code: ErrorCode): void
  /** Cheap. Returns the same object for the same names, also after a reload, so that counters never start again while the names are in use. */
  route(route: string, service: string): RouteMetrics
  /**
   * The names of the routes and services of a configuration that was taken. Counts of others are forgotten, as generated names would pile up; first with
   * the next configuration, since requests that are under way are still to be counted and shown.
   */
  namesInUse(names: Iterable<string>): void
  /** For requests that no route was found for; both labels are empty. */
  readonly unrouted: RouteMetrics
  readonly requestsInFlight: Level
  /** Replaces what was said before, so that what a reload has removed is gone. */
  certificates(inUse: readonly CertificateInUse[]): void
  /** Replaces what was said before; asked at each scrape, as lists are fetched in between. */
  crls(inUse: () => readonly CrlInUse[]): void
  /** The outcome of loading the configuration, at the start too. */
  reloaded(succeeded: boolean): void
}

/**
 * Values are plain numbers, which become a text at each scrape. prom-client's counters build a text from their labels on each call, which costs more
 * than the rest of a request's bookkeeping, and it writes all series in one go, which takes seconds for five thousand routes. It tells of the process only.
 */
export function createMetrics(): Metrics {
  const registry = new Registry()
  // Samples the event loop 10 times a second; the default of 100 keeps an idle process awake.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 })
  const families: MetricFamily[] = []
  const register: Register = (name, type, help, read) => void families.push({ name, type, help, read })
  register('sallyport_build_info', 'gauge', 'What runs: the gateway, Node and OpenSSL.', () => [
    { labels: buildInfo, value: 1 },
  ])
  const own = () => inSlices(expose(families))
  return {
    contentType: registry.contentType,
    text: async () => (await textOf(registry)) + (await own()),
    snapshot: async () => ({ process: await registry.getMetricsAsJSON(), own: await own() }),
    ...handshakeMetrics(register),
    ...requestMetrics(register),
    ...connectionMetrics(register),
    ...certificateMetrics(register),
    ...revocationMetrics(register),
    ...reloadMetrics(register),
  }
}

/** prom-client writes `Nan`, which the format does not know, where the event loop's lag is read twice in a row. */
export async function textOf(registry: Pick<Registry, 'metrics'>): Promise<string> {
  return (await registry.metrics()).replaceAll(/ Nan$/gm, ' NaN')
}

function handshakeMetrics(register: Register): Pick<Metrics, 'handshake' | 'clientVerified'> {
  const handshakes = new Counts<HandshakeLabels>(({ result, version, resumed }) => `${result} ${version} ${resumed}`)
  const verified = new Counts<ClientVerifyResult>((result) => result, CLIENT_VERIFY_RESULTS)
  register('sallyport_tls_handshakes_total', 'counter', 'TLS handshakes of clients.', () =>
    handshakes.samples(({ result, version, resumed }) => ({ result, version, resumed: String(resumed) })),
  )
  register(
    'sallyport_tls_client_verify_total',
    'counter',
    'How the certificates of clients were judged, once per handshake.',
    () => verified.samples((result) => ({ result })),
  )
  return { handshake: (labels) => handshakes.add(labels), clientVerified: (result) => verified.add(result) }
}

function requestMetrics(
  register: Register,
): Pick<Metrics, 'route' | 'namesInUse' | 'unrouted' | 'refused' | 'requestsInFlight'> {
  const routes = new Map<string, Map<string, RouteCounts>>()
  let names: ReadonlySet<string> = new Set()
  const refusals = new Counts<ErrorCode>((code) => code, Object.keys(ERROR_CODES) as ErrorCode[])
  const requestsInFlight = createLevel()
  const route = (name: string, service: string): RouteCounts => {
    const services = routes.get(name) ?? new Map<string, RouteCounts>()
    const counts = services.get(service) ?? new RouteCounts(name, service)
    if (services.size === 0) routes.set(name, services)
    if (!services.has(service)) services.set(service, counts)
    return counts
  }
  const namesInUse = (inUse: Iterable<string>): void => {
    const before = names
    names = new Set(inUse).add('')
    const isKnown = (name: string) => names.has(name) || before.has(name)
    for (const [name, services] of routes) {
      for (const service of services.keys()) if (!isKnown(name) || !isKnown(service)) services.delete(service)
      if (services.size === 0) routes.delete(name)
    }
  }
  const perRoute = (name: string, type: MetricType, help: string, read: (counts: RouteCounts) => Sample[]): void =>
    register(name, type, help, function* () {
      for (const services of routes.values()) for (const counts of services.values()) yield* read(counts)
    })

  perRoute('sallyport_http_requests_total', 'counter', 'Requests, by the status in the access log.', (counts) =>
    counts.requests(),
  )
  perRoute(REQUEST_DURATION, 'histogram', "From a request's headers to the end of its answer.", (counts) =>
    counts.durations(REQUEST_DURATION),
  )
  perRoute(UPSTREAM_DURATION, 'histogram', "From sending to the first byte of the upstream's answer.", (counts) =>
    counts.upstreamDurations(UPSTREAM_DURATION),
  )
  perRoute('sallyport_upstream_retries_total', 'counter', 'Attempts beyond the first.', (counts) => counts.retries())
  perRoute('sallyport_http_bytes_total', 'counter', 'Bytes received from clients and sent to them.', (counts) =>
    counts.bytes(),
  )
  register('sallyport_refusals_total', 'counter', 'Refusals by code (docs/errors.md).', () =>
    refusals.samples((code) => ({ code })),
  )
  register('sallyport_http_requests_in_flight', 'gauge', 'Requests that are being answered.', () =>
    single(requestsInFlight.value),
  )
  return { route, namesInUse, unrouted: route('', ''), refused: (code) => refusals.add(code), requestsInFlight }
}

const REQUEST_DURATION = 'sallyport_http_request_duration_seconds'
const UPSTREAM_DURATION = 'sallyport_upstream_duration_seconds'

function certificateMetrics(register: Register): Pick<Metrics, 'certificates'> {
  let certificates: readonly CertificateInUse[] = []
  register(
    'sallyport_certificate_not_after_timestamp_seconds',
    'gauge',
    'When a certificate in use stops being valid.',
    () =>
      earliest(certificates.map(({ role, name, notAfter }) => ({ labels: { role, name }, value: notAfter / 1000 }))),
  )
  return {
    certificates(inUse) {
      certificates = inUse
    },
  }
}

function revocationMetrics(register: Register): Pick<Metrics, 'crls' | 'crlErrorIgnored' | 'crlFetched'> {
  let inUse: () => readonly CrlInUse[] = () => []
  const ignored = new Counts<ClientVerifyResult>(
    (result) => result,
    ['crl_missing', 'crl_expired', 'crl_not_yet_valid'],
  )
  const fetches = new Counts<boolean>(String, [true, false])
  register(
    'sallyport_crl_next_update_timestamp_seconds',
    'gauge',
    'When a revocation list in use must have been replaced.',
    () => earliest(inUse().map(({ name, nextUpdate }) => ({ labels: { name }, value: nextUpdate / 1000 }))),
  )
  register(
    'sallyport_crl_errors_ignored_total',
    'counter',
    'Clients let in without a current revocation list (revocation_check_mode IGNORE_CA_ERROR).',
    () => ignored.samples((result) => ({ result })),
  )
  register('sallyport_crl_fetches_total', 'counter', 'Revocation lists that were asked for (ssl_crl_fetch).', () =>
    fetches.samples((succeeded) => ({ result: succeeded ? 'success' : 'error' })),
  )
  return {
    crls(asked) {
      inUse = asked
    },
    crlErrorIgnored: (result) => ignored.add(result),
    crlFetched: (succeeded) => fetches.add(succeeded),
  }
}

/** The earliest of several with the same labels, such as a CA and its renewal in one bundle: an alarm is about the one that ends first. */
function earliest(samples: readonly Sample[]): Sample[] {
  const first = new Map<string, Sample>()
  for (const sample of samples) {
    const key = JSON.stringify(sample.labels)
    const known = first.get(key)
    if (known === undefined || sample.value < known.value) first.set(key, sample)
  }
  return [...first.values()]
}

function reloadMetrics(register: Register): Pick<Metrics, 'reloaded'> {
  let last: boolean | undefined
  let lastSuccess: number | undefined
  register(
    'sallyport_config_reload_success',
    'gauge',
    'Whether the configuration was accepted when it was last loaded.',
    () => single(last === undefined ? undefined : Number(last)),
  )
  register(
    'sallyport_config_reload_success_timestamp_seconds',
    'gauge',
    'When a configuration was last accepted.',
    () => single(lastSuccess),
  )
  return {
    reloaded(succeeded) {
      last = succeeded
      if (succeeded) lastSuccess = Date.now() / 1000
    },
  }
}
