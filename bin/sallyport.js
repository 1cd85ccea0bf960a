#!/usr/bin/env node
// Plain and old syntax only: this file must run on a Node that is too old, to say so.

// Ahead of everything else: whoever rotates nginx's logs sends it, and Node would open its debugger, and with it our keys, to everybody on this machine.
// Only `node --disable-sigusr1` closes the moments before this line too.
process.on('SIGUSR1', () => {})
// Whoever hands out certificates may ask for a reload before the gateway has started, and that would end it. What it has yet to read is new enough;
// where it is reading already, cli/run.ts hears of the signal too, and reloads.
const runs = process.argv[2] === 'run'
if (runs) for (const signal of ['SIGHUP', 'SIGUSR2']) process.on(signal, () => {})
// Process 1 of a container gets no signal that it does not listen to: one that came too early would have been sent in vain, and the gateway went on until it
// was killed. Once it has started, cli/run.ts listens, and drains.
const endAtOnce = (signal) => process.listenerCount(signal) > 1 || process.exit()
if (runs) for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT']) process.on(signal, endAtOnce)

const MINIMUM = [24, 18, 1]
const running = process.versions.node.split('.').map(Number)
const difference = MINIMUM.map((part, i) => running[i] - part).find((d) => d !== 0) || 0

if (difference < 0) {
  const pathOf = (name) => decodeURIComponent(new URL(name, import.meta.url).pathname)
  const pinned = pathOf(`../node_modules/node-${process.platform}-${process.arch}/bin/node`)
  process.stderr.write(
    'sallyport needs Node ' +
      MINIMUM.join('.') +
      ' or later, this is ' +
      process.versions.node +
      '.\n' +
      'Older releases have known ways around client certificates. `npm ci` brings a current one along: `npm start` and, in this\n' +
      'folder, `npx sallyport` run on it. From elsewhere it is started by its path:\n' +
      `  "${pinned}" "${pathOf('sallyport.js')}" …\n`,
  )
  process.exit(1)
}
import('../dist/cli/main.js').then(
  ({ main }) => main(process.argv),
  (error) => {
    if (error.code !== 'ERR_MODULE_NOT_FOUND' || !String(error.message).includes('dist')) throw error
    process.stderr.write('sallyport is not built yet: run `npm ci` (or `npm run build`) first.\n')
    process.exit(1)
  },
)
