/**
 * Writes Prometheus's text format, and adds it up, in slices. Each route in use has forty lines: with thousands of routes, writing them without a
 * pause would hold up every request.
 */
import type { Slices } from '../slices.ts'
import type { MetricFamily } from './counts.ts'

/** How many lines are written without a pause: a tenth of a millisecond. */
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

/** Combines the metrics of several processes as if they were one: counters and levels are added up; of dates, successes and facts the smallest counts. */
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
    // Not appended to one text: V8 would put that together only at the end, without a pause.
    this.#parts.push(this.#lines.join(''))
    this.#lines = []
    return true
  }

  get text(): string {
    return this.#parts.join('') + this.#lines.join('')
  }
}

class SummedFamily {
  /** The values by name and labels, as they are written. */
  readonly series = new Map<string, number>()
  readonly #worstCounts: boolean

  constructor(name: string) {
    this.#worstCounts = /_timestamp_seconds$|_success$|_info$/.test(name)
  }

  add(line: string): void {
    // Label values may hold blanks; numbers do not.
    const end = line.lastIndexOf(' ')
    const name = line.slice(0, end)
    const value = Number(line.slice(end + 1))
    const known = this.series.get(name)
    if (known === undefined) this.series.set(name, value)
    else this.series.set(name, this.#worstCounts ? Math.min(known, value) : known + value)
  }
}

/**
 * @param heading the family's lines of help and type
 * @returns undefined where the family is not wanted
 */
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
    const newline = text.indexOf('\n', from)
    const end = newline === -1 ? text.length : newline
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
