/**
 * Prometheus's text format, written and added up in slices: of each route in use there are forty lines, of thousands of routes more than anybody who asks for
 * something else could wait for.
 */
import type { MetricFamily } from './metric-counts.ts'
import type { Slices } from './slices.ts'

/** Lines in one go, a tenth of a millisecond. */
const LINES = 64

export function* expose(families: Iterable<MetricFamily>): Slices<string> {
  const writer = new Writer()
  for (const { name, type, help, read } of families) {
    writer.write(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`)
    for (const { metricName = name, labels, value } of read()) {
      if (writer.write(`${metricName}${labelsText(labels)} ${valueText(value)}\n`)) yield
    }
  }
  return writer.text
}

/** What several processes have counted as if they were one: counters and levels are added up, while of dates and successes the worst counts. */
export function* addUp(texts: readonly string[], isWanted: (type: string) => boolean = () => true): Slices<string> {
  const families = new Map<string, SummedFamily>()
  for (const text of texts) {
    let family: SummedFamily | undefined
    let help = ''
    let read = 0
    for (const line of linesOf(text)) {
      if (++read % LINES === 0) yield
      if (line.startsWith('# HELP ')) help = line
      else if (line.startsWith('# TYPE ')) family = familyOf(families, `${help}\n${line}`, isWanted)
      else family?.add(line)
    }
  }
  const writer = new Writer()
  for (const [heading, { series }] of families) {
    writer.write(`${heading}\n`)
    for (const [name, value] of series) if (writer.write(`${name} ${valueText(value)}\n`)) yield
  }
  return writer.text
}

class Writer {
  readonly #parts: string[] = []
  #lines: string[] = []

  /** @returns whether it is time for a pause */
  write(line: string): boolean {
    this.#lines.push(line)
    if (this.#lines.length < LINES) return false
    // Not added to one text: that would be put together only at the end, and then at one stretch.
    this.#parts.push(this.#lines.join(''))
    this.#lines = []
    return true
  }

  get text(): string {
    return this.#parts.join('') + this.#lines.join('')
  }
}

class SummedFamily {
  /** By name and labels, as they are written. */
  readonly series = new Map<string, number>()
  readonly #worstCounts: boolean

  constructor(name: string) {
    this.#worstCounts = /_timestamp_seconds$|_success$/.test(name)
  }

  add(line: string): void {
    // Label values may hold blanks, and values none.
    const end = line.lastIndexOf(' ')
    const name = line.slice(0, end)
    const value = Number(line.slice(end + 1))
    const known = this.series.get(name)
    if (known === undefined) this.series.set(name, value)
    else this.series.set(name, this.#worstCounts ? Math.min(known, value) : known + value)
  }
}

/** @param heading its lines of help and type. Undefined where it is not wanted. */
function familyOf(
  families: Map<string, SummedFamily>,
  heading: string,
  isWanted: (type: string) => boolean,
): SummedFamily | undefined {
  const [name = '', type = ''] = heading.slice(heading.lastIndexOf('# TYPE ') + 7).split(' ')
  if (!isWanted(type)) return undefined
  const family = families.get(heading) ?? new SummedFamily(name)
  families.set(heading, family)
  return family
}

function* linesOf(text: string): Generator<string> {
  for (let from = 0; from < text.length; ) {
    const end = text.indexOf('\n', from)
    yield text.slice(from, end)
    from = end + 1
  }
}

function labelsText(labels: Readonly<Record<string, string | number>>): string {
  let text = ''
  for (const name in labels) text += `${text === '' ? '{' : ','}${name}="${escaped(String(labels[name]))}"`
  return text === '' ? '' : `${text}}`
}

function escaped(value: string): string {
  return /[\\\n"]/.test(value) ? value.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"') : value
}

function valueText(value: number): string {
  if (Math.abs(value) !== Number.POSITIVE_INFINITY) return String(value)
  return value > 0 ? '+Inf' : '-Inf'
}
