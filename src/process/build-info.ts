import description from '../../package.json' with { type: 'json' }

/** What runs: after an upgrade in place, old and new may run side by side. */
export const buildInfo = {
  version: description.version,
  node: process.versions.node,
  openssl: process.versions.openssl,
} as const
