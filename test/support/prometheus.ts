/** Prometheus's text format 0.0.4, read as strictly as its documentation has it: what a scraper might forgive is refused here. */

export interface Family {
  readonly name: string
  readonly type: string
  readonly samples: readonly Sample[]
}

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const TYPES = ['counter', 'gauge', 'histogram', 'summary', 'untyped']

/** @throws Error with the line that is wrong */
export function readMetrics(text: string): Family[] {
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  const families: { name: string; type: string; samples: Sample[] }[] = []
  const series = new Set<string>()
  let helped: string | undefined
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line)
    if (comment) {
      const [, kind, name = '', rest = ''] = comment
      if (!NAME.test(name) || /\\(?![\\n])/.test(rest)) throw new Error(line)
      if (kind === 'HELP') helped = name
      else if (helped !== name || !TYPES.includes(rest) || families.some((each) => each.name === name))
        throw new Error(`no HELP before it, told twice, or of no known type: ${line}`)
      else families.push({ name, type: rest, samples: [] })
    } else if (line !== '') {
      const family = families.at(-1)
      const sample = readSample(line)
      if (!family || !namesOf(family).includes(sample.name)) throw new Error(`stands in another family: ${line}`)
      const key = JSON.stringify([sample.name, Object.entries(sample.labels).sort()])
      if (series.has(key)) throw new Error(`twice: ${line}`)
      series.add(key)
      family.samples.push(sample)
    }
  }
  for (const family of families) checkFamily(family)
  return families
}

function namesOf({ name, type }: Family): string[] {
  return type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name]
}

function readSample(line: string): Sample {
  const [, name = '', , inner = '', written = ''] =
    /^([^{ ]+)(\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? (\S+)$/.exec(line) ?? []
  const labels: Record<string, string> = {}
  let rest = inner
  while (rest !== '') {
    const [whole = '', label = '', value = ''] = /^([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/.exec(rest) ?? []
    if (whole === '' || label in labels) throw new Error(`its labels: ${line}`)
    labels[label] = value.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))
    rest = rest.slice(whole.length)
  }
  const value = written === '+Inf' ? Number.POSITIVE_INFINITY : Number(written)
  if (!NAME.test(name) || written === '' || (Number.isNaN(value) && written !== 'NaN')) throw new Error(line)
  return { name, labels, value }
}

/** Counters count upwards; the buckets of a histogram hold those before them, and the last is the count. */
function checkFamily({ name, type, samples }: Family): void {
  if (type === 'counter' && samples.some(({ value }) => !(value >= 0))) throw new Error(`${name} is below 0`)
  if (type !== 'histogram') return
  for (const { labels, value } of samples.filter((each) => each.name === `${name}_count`)) {
    const same = (each: Sample) => Object.entries(labels).every(([label, of]) => each.labels[label] === of)
    const buckets = samples.filter((each) => each.name === `${name}_bucket` && same(each))
    const bounds = buckets.map((each) => Number(each.labels.le?.replace('+Inf', 'Infinity')))
    const counts = buckets.map((each) => each.value)
    if (!isRising(bounds) || !isRising(counts) || bounds.at(-1) !== Number.POSITIVE_INFINITY || counts.at(-1) !== value)
      throw new Error(`the buckets of ${name} are wrong: ${JSON.stringify(labels)}`)
    if (!samples.some((each) => each.name === `${name}_sum` && same(each))) throw new Error(`${name} has no sum`)
  }
}

function isRising(numbers: readonly number[]): boolean {
  return numbers.every((each, index) => index === 0 || each >= (numbers[index - 1] as number))
}
