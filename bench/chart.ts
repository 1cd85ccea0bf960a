/** The picture of a result: one group of bars for each metric, each bar a gateway's ratio to nginx. */
import type { Result } from './result.ts'
import { metrics } from './table.ts'

const WIDTH = 760
const LABEL = 300
const BAR = 14
const GAP = 16
/** A bar that would be longer is cut, and its number says so. */
const MAX_RATIO = 5
const COLOURS: Readonly<Record<string, string>> = {
  nginx: '#8a8f98',
  haproxy: '#b0b6c0',
  caddy: '#c9b37e',
  'http-proxy': '#d9a5a0',
  sallyport: '#2f7d6b',
}

export function chartOf(result: Result): string {
  const groups = metrics.flatMap(({ key, label }) => {
    const { nginx, ...others } = result.medians[key] ?? {}
    return nginx
      ? [{ label, bars: Object.entries({ nginx, ...others }).map(([name, value]) => ({ name, ratio: value / nginx })) }]
      : []
  })
  const lines: string[] = []
  let y = 56
  for (const { label, bars } of groups) {
    lines.push(text(LABEL - 12, y + (bars.length * BAR) / 2 + 4, label, 'end'))
    for (const { name, ratio } of bars) {
      const length = (Math.min(ratio, MAX_RATIO) / MAX_RATIO) * (WIDTH - LABEL - 150)
      lines.push(
        `<rect x="${LABEL}" y="${y}" width="${length.toFixed(1)}" height="${BAR - 2}" fill="${COLOURS[name] ?? '#999'}"/>`,
      )
      lines.push(text(LABEL + length + 6, y + BAR - 4, `${name} ${ratio.toFixed(2)}`, 'start'))
      y += BAR
    }
    y += GAP
  }
  const title = `× nginx, medians of ${result.rounds} interleaved rounds, ${result.date.slice(0, 10)}; less is better but for requests per second`
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" font-family="sans-serif" font-size="11">
<title>Each gateway's figures as ratios to nginx's</title>
<rect width="100%" height="100%" fill="#ffffff"/>
${text(16, 26, title, 'start')}
${lines.join('\n')}
</svg>
`
}

function text(x: number, y: number, words: string, anchor: 'start' | 'end'): string {
  const escaped = words.replace(/&/g, '&amp;').replace(/</g, '&lt;')
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="#20242a">${escaped}</text>`
}
