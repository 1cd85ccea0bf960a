import { expect, test } from '@jest/globals'
import type { MetricFamily, Sample } from '../../../src/metrics/counts.ts'
import { addUp, expose } from '../../../src/metrics/exposition.ts'
import { atOnce, type Slices } from '../../../src/slices.ts'

const family = (name: string, type: MetricFamily['type'], samples: readonly Sample[]): MetricFamily => ({
  name,
  type,
  help: `What ${name} is.`,
  read: () => samples,
})

/** A text, and in how many turns it is made. */
function inTurns(work: Slices<string>): { text: string; turns: number } {
  let turns = 1
  for (;;) {
    const step = work.next()
    if (step.done) return { text: step.value, turns }
    turns += 1
  }
}

const STRANGE = 'a "name"\\ with\nall {that="is"} # TYPE x'

test('each family has its help, its type and its series', () => {
  const text = atOnce(
    expose([
      family('requests_total', 'counter', [
        { labels: { route: STRANGE, code: 200 }, value: 3 },
        { labels: { route: '', code: 404 }, value: 0.5 },
      ]),
      family('seconds', 'histogram', [{ metricName: 'seconds_sum', labels: {}, value: Number.POSITIVE_INFINITY }]),
      family('lag', 'gauge', [{ labels: {}, value: Number.NaN }]),
    ]),
  )
  expect(text).toBe(`# HELP requests_total What requests_total is.
# TYPE requests_total counter
requests_total{route="a \\"name\\"\\\\ with\\nall {that=\\"is\\"} # TYPE x",code="200"} 3
requests_total{route="",code="404"} 0.5
# HELP seconds What seconds is.
# TYPE seconds histogram
seconds_sum +Inf
# HELP lag What lag is.
# TYPE lag gauge
lag NaN
`)
})

test('of several processes counters and levels are added up, of dates, successes and facts the worst counts', () => {
  const told = (count: number, date: number) =>
    atOnce(
      expose([
        family('requests_total', 'counter', [{ labels: { route: STRANGE }, value: count }]),
        family('not_after_timestamp_seconds', 'gauge', [{ labels: { name: 'a b' }, value: date }]),
        family('reload_success', 'gauge', [{ labels: {}, value: count - 1 }]),
        family('build_info', 'gauge', [{ labels: { version: '1' }, value: 1 }]),
      ]),
    )
  const added = atOnce(addUp([told(1, 9), told(2, 7), '']))
  expect(added).toBe(told(3, 7).replace('reload_success 2', 'reload_success 0'))
  expect(atOnce(addUp([added]))).toBe(added)
  expect(atOnce(addUp([added], (type) => type === 'counter'))).toBe(added.slice(0, added.indexOf('# HELP not_after')))
})

test('a text that was cut off in its last line is added up to its end, and ends', () => {
  expect(atOnce(addUp(['# HELP a A.\n# TYPE a counter\na 1\na{x="y"} 2']))).toBe(
    '# HELP a A.\n# TYPE a counter\na 1\na{x="y"} 2\n',
  )
})

test('thousands of routes are written and added up with pauses: nobody waits for a scrape', () => {
  const samples = Array.from({ length: 50_000 }, (_, i) => ({ labels: { route: `r${i}` }, value: i }))
  const written = inTurns(expose([family('requests_total', 'counter', samples)]))
  expect(written.text.split('\n')).toHaveLength(50_003)
  expect(written.turns).toBeGreaterThan(500)
  const added = inTurns(addUp([written.text, written.text]))
  expect(added.text).toContain('requests_total{route="r49999"} 99998\n')
  expect(added.turns).toBeGreaterThan(1500)
})
