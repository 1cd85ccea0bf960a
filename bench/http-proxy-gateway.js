/**
 * The gateway that one would write with the `http-proxy` package, at its best: mutual TLS both ways, keep-alive to the
 * upstream, and the client's name read once per connection. JavaScript, not TypeScript: loading Node's type stripper would
 * be counted as this gateway's memory and start-up time.
 *
 * Usage: node http-proxy-gateway.js SETTINGS, where SETTINGS is JSON with port, upstreamPort and paths of PEM files.
 */
import { readFileSync } from 'node:fs'
import https from 'node:https'
import httpProxy from 'http-proxy'

const settings = JSON.parse(process.argv[2] ?? '{}')
const ca = readFileSync(settings.ca)
const agent = new https.Agent({
  keepAlive: true,
  ca,
  cert: readFileSync(settings.clientCertificate),
  key: readFileSync(settings.clientKey),
  servername: 'localhost',
})
const proxy = httpProxy.createProxyServer({ target: `https://127.0.0.1:${settings.upstreamPort}`, agent, secure: true })
proxy.on('error', (_error, _request, response) => {
  if ('writeHead' in response && !response.headersSent) response.writeHead(502)
  response.end()
})

const identityOf = new WeakMap()

function identify(socket) {
  const subject = Object.entries(socket.getPeerCertificate().subject)
  const headers = {
    // http-proxy hands the client's Connection on, and `close` would end the connection to the upstream.
    connection: 'keep-alive',
    // Lower case, as in request.headers: they replace what a client sent under these names.
    verified: socket.authorized ? 'SUCCESS' : 'NONE',
    dn: subject.map(([k, v]) => `${k}=${v}`).join(','),
  }
  identityOf.set(socket, headers)
  return headers
}

const server = https.createServer(
  {
    ca,
    cert: readFileSync(settings.serverCertificate),
    key: readFileSync(settings.serverKey),
    requestCert: true,
    rejectUnauthorized: true,
  },
  (request, response) => {
    const identity = identityOf.get(request.socket) ?? identify(request.socket)
    proxy.web(request, response, { headers: identity })
  },
)
// nginx's keepalive_timeout: Node's default of 5 seconds would close the connections that the bench holds idle.
server.keepAliveTimeout = 75_000
server.requestTimeout = 0
server.listen(settings.port, '127.0.0.1')
