import { describe, expect, test } from '@jest/globals'
import { chartOf } from '../../../bench/chart.ts'
import { gotWorse, type Result, resultOf } from '../../../bench/result.ts'
import { markdownTable, record, type Samples } from '../../../bench/table.ts'

const RUN = { date: '2026-11-25T12:00:00Z', machine: '2 cores', rounds: 3, versions: {}, sizes: { requests: 1 } }

function runOf(figures: Record<string, Record<string, number[]>>): { result: Result; samples: Samples } {
  const samples: Samples = new Map()
  for (const [metric, byGateway] of Object.entries(figures)) {
    for (const [gateway, values] of Object.entries(byGateway))
      for (const value of values) record(samples, gateway, { [metric]: value })
  }
  return { result: resultOf(samples, RUN), samples }
}

const requestCpu = (nginx: number[], sallyport: number[]) => runOf({ requestCpu: { nginx, sallyport } }).result

describe('what got worse', () => {
  test('is a ratio that grew by more than noise, however fast the machine was', () => {
    expect(gotWorse(requestCpu([20], [30]), requestCpu([60], [120]))).toEqual([
      'CPU µs per request: 2.00 × nginx, was 1.50',
    ])
    expect(gotWorse(requestCpu([20], [30]), requestCpu([60], [95]))).toEqual([])
    expect(gotWorse(requestCpu([20], [30]), requestCpu([60], [60]))).toEqual([])
  })
  test('is not what the spread of the rounds explains', () => {
    expect(gotWorse(requestCpu([20], [30]), requestCpu([50, 60, 70], [70, 110, 150]))).toEqual([])
  })
  test('is a smaller ratio where more is better', () => {
    const before = runOf({ requestsPerSecond: { nginx: [1000], sallyport: [700] } }).result
    const now = runOf({ requestsPerSecond: { nginx: [1000], sallyport: [500] } }).result
    expect(gotWorse(before, now)).toEqual(['requests per second (more is better): 0.50 × nginx, was 0.70'])
    expect(gotWorse(now, before)).toEqual([])
  })
  test('is nothing that only says how another figure is to be read', () => {
    const waited = (sallyport: number) => runOf({ crowdWaited: { nginx: [100], sallyport: [sallyport] } }).result
    expect(gotWorse(waited(100), waited(900))).toEqual([])
  })
  test('cannot be said of what one of the runs did not measure', () => {
    expect(gotWorse(runOf({}).result, requestCpu([20], [90]))).toEqual([])
  })
})

test('a cell holds the median, half of the range, and the ratio to nginx', () => {
  const { samples } = runOf({ requestCpu: { nginx: [20, 30, 22], sallyport: [33, 33, 33] } })
  const row = markdownTable(samples, ['nginx', 'sallyport'], 'nginx').split('\n').at(-1)
  expect(row?.replace(/ +/g, ' ')).toBe('| CPU µs per request | 22.0 ±23% (1.00) | 33.0 ±0% (1.50) |')
})

test('the picture has a bar for each gateway, and cuts one that is too long', () => {
  const { result } = runOf({
    requestCpu: { nginx: [20], caddy: [60], sallyport: [30] },
    idleKib: { nginx: [1], caddy: [99] },
  })
  const bars = [...chartOf(result).matchAll(/<rect x="300" [^>]*width="([\d.]+)"/g)].map(([, width]) => Number(width))
  expect(bars).toEqual([62, 186, 93, 62, 310])
  expect(chartOf(result)).toContain('caddy 99.00')
})
