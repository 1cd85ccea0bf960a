import { availableParallelism } from 'node:os'

export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/test/strip-types.js' },
  // Jest leaves a core alone by default. Most tests wait for processes that they started, or for a time to be over: with as many at once as there are
  // cores, a quarter of the processors' time is left.
  maxWorkers: Math.ceil(availableParallelism() * 1.5),
  testTimeout: 120_000,
}
