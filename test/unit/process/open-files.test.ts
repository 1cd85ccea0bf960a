import { expect, test } from '@jest/globals'
import { limitOfOpenFiles, OpenFiles } from '../../../src/process/open-files.ts'

test('clients get what upstreams cannot need, and at least half', () => {
  const files = new OpenFiles(20_128)
  expect([files.clientsBeside(1024), files.clientsBeside(1_000_000)]).toEqual([18_976, 10_000])
  files.shareOut(1024)
  expect([files.clients.most, files.upstreams.most]).toEqual([18_976, 1024])
})

test('the limit that is told to be enough is enough, and no larger than that', () => {
  for (const [clients, upstreams] of [
    [10_000, 1024],
    [10_000, 50_000],
    [300, 300],
  ] as const) {
    const limit = OpenFiles.limitFor(clients, upstreams)
    expect(new OpenFiles(limit).clientsBeside(upstreams)).toBe(clients)
    expect(new OpenFiles(limit - 1).clientsBeside(upstreams)).toBeLessThan(clients)
  }
})

test('a very low limit leaves something for everybody', () => {
  const files = new OpenFiles(64)
  files.shareOut(1024)
  expect([files.clients.most, files.upstreams.most]).toEqual([16, 16])
})

test('no limit sets none', () => {
  const files = new OpenFiles(Number.POSITIVE_INFINITY)
  files.shareOut(1024)
  expect(files.clientsBeside(1024)).toBe(Number.POSITIVE_INFINITY)
  expect(Array.from({ length: 1000 }, () => files.clients.enter()).every(Boolean)).toBe(true)
})

test('the limit is that of the process', () => {
  expect(limitOfOpenFiles()).toBeGreaterThan(100)
})
