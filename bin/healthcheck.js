// Docker's HEALTHCHECK: exit status 0 where the admin listener says that the gateway is alive, or where there is no such listener.
import { get } from 'node:http'

const listen = process.env.SALLYPORT_ADMIN_LISTEN || '127.0.0.1:9901'
if (listen === 'off') process.exit(0)

const request = get({ ...whereTo(listen), path: '/healthz', signal: AbortSignal.timeout(2500) }, ({ statusCode }) =>
  process.exit(statusCode === 200 ? 0 : 1),
)
request.on('error', ({ message }) => {
  process.stderr.write(`${listen} does not answer: ${message}\n`)
  process.exit(1)
})

function whereTo(listen) {
  if (listen.startsWith('unix:')) return { socketPath: listen.slice('unix:'.length) }
  const [, address, port] = /^(?:(.*):)?(\d+)$/.exec(listen) ?? []
  const everywhere = !address || address === '*' || address === '0.0.0.0'
  return { host: everywhere ? '127.0.0.1' : address.replace('[::]', '::1').replace(/^\[(.*)\]$/, '$1'), port }
}
