export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/test/strip-types.js' },
  // Jest leaves a core alone by default, which on two doubles the time; most tests wait for processes that they started.
  maxWorkers: '100%',
  testTimeout: 120_000,
}
