// Docker's HEALTHCHECK: exit status 0 where the admin listener says that the gateway is alive, or where there is no such listener.
const listen = process.env.SALLYPORT_ADMIN_LISTEN || '127.0.0.1:9901'
if (listen === 'off') process.exit(0)
const [, address, port] = /^(?:(.*):)?(\d+)$/.exec(listen) ?? []
const host = !address || address === '*' || address === '0.0.0.0' ? '127.0.0.1' : address.replace('[::]', '[::1]')

try {
  const { status } = await fetch(`http://${host}:${port}/healthz`, { signal: AbortSignal.timeout(2500) })
  process.exit(status === 200 ? 0 : 1)
} catch (error) {
  process.stderr.write(`${host}:${port} does not answer: ${error.cause?.message ?? error.message}\n`)
  process.exit(1)
}
