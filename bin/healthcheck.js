// Docker's HEALTHCHECK: exit status 0 where the admin listener says that the gateway is alive, or where there is no such listener.
// The gateway is process 1 of the container; another one is named for trying it elsewhere.
import { readFileSync } from 'node:fs'
import { get } from 'node:http'

const listen = process.env.SALLYPORT_ADMIN_LISTEN || (await ofFile(process.argv[2] ?? '1'))
if (listen === 'off') process.exit(0)

const request = get({ ...whereTo(listen), path: '/healthz', signal: AbortSignal.timeout(2500) }, ({ statusCode }) =>
  process.exit(statusCode === 200 ? 0 : 1),
)
request.on('error', ({ message }) => {
  process.stderr.write(`${listen} does not answer: ${message}\n`)
  process.exit(1)
})

async function ofFile(pid) {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    const { adminAddress } = await import('../dist/cli/admin-address.js')
    return adminAddress(command, process.env)
  } catch (error) {
    // Nobody is well served by a container that is ended for a mistake in its file, without which it goes on and after which it would not start.
    process.stderr.write(`where the admin listens cannot be read, so nothing was asked: ${error.code ?? error.name}\n`)
    return 'off'
  }
}

function whereTo(listen) {
  if (listen.startsWith('unix:')) return { socketPath: listen.slice('unix:'.length) }
  const [, address, port] = /^(?:(.*):)?(\d+)$/.exec(listen) ?? []
  const everywhere = !address || address === '*' || address === '0.0.0.0'
  return { host: everywhere ? '127.0.0.1' : address.replace('[::]', '::1').replace(/^\[(.*)\]$/, '$1'), port }
}
