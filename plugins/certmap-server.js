/**
 * The half of a certificate-mapping plugin that is the same for all: an HTTP server on a Unix socket that speaks Docker's plugin protocol. Copy it, or write
 * these lines in any other language (docs/plugins.md).
 */
import { X509Certificate } from 'node:crypto'
import { rmSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { parseArgs } from 'node:util'

const LARGEST_QUESTION = 64 * 1024

/** Reads the options from the command line, each with a value and all needed. Ends the process where they are not there, and after --help. */
export function readOptions(names, usage) {
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' }]))
  try {
    const { values } = parseArgs({ options: { ...options, help: { type: 'boolean', short: 'h' } } })
    if (values.help) {
      process.stdout.write(`usage: ${usage}\n`)
      process.exit(0)
    }
    const missing = names.find((name) => !values[name])
    if (missing === undefined) return values
    return fail(`--${missing} is missing\nusage: ${usage}`)
  } catch (error) {
    return fail(`${error.message}\nusage: ${usage}`)
  }
}

/** Ends the process, saying why. */
export function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}

/**
 * Serves until SIGTERM. `find` gets the certificate and the options, and returns `{ name, uid, groups }`, or undefined for a certificate that belongs to nobody; what it
 * throws reaches the gateway as a failure, which is neither.
 */
export async function serveCertmap(socket, find) {
  await removeDeadSocket(socket)
  const server = createServer(async (request, response) => {
    const send = (status, body) => {
      response
        .writeHead(status, { 'Content-Type': 'application/vnd.docker.plugins.v1.2+json' })
        .end(JSON.stringify(body))
    }
    try {
      const body = await read(request)
      if (request.url === '/Plugin.Activate') return send(200, { Implements: ['ClientCertificateMapper'] })
      if (request.url !== '/ClientCertificateMapper.MapClientCertificateToUser')
        return send(404, { Err: 'no such method' })
      const { Certificate, Options } = JSON.parse(body)
      const user = await find(new X509Certificate(Buffer.from(Certificate, 'base64')), Options ?? {})
      send(200, user ? { AuthedUser: authedUser(user) } : {})
    } catch (error) {
      send(500, { Err: error.message })
    }
  })
  await new Promise((resolve, reject) => server.once('error', reject).listen(socket, resolve))
  process.stdout.write(`listening on ${socket}\n`)
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, () => {
      server.close()
      server.closeAllConnections()
    })
  }
}

function authedUser({ name, uid, groups = [] }) {
  return { Name: name, Groups: groups, ...(uid === undefined ? {} : { HaveUID: true, UID: uid }) }
}

async function read(request) {
  const chunks = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size > LARGEST_QUESTION) throw new Error('the question is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** One that nobody listens on any more is in the way of a start after a crash; one that somebody listens on is somebody's. */
async function removeDeadSocket(socket) {
  if (!statSync(socket, { throwIfNoEntry: false })?.isSocket()) return
  const alive = await new Promise((resolve) => {
    const probe = connect(socket)
    probe.once('connect', () => resolve(true)).once('error', () => resolve(false))
    probe.once('close', () => {})
    setTimeout(() => probe.destroy(), 1000).unref()
  })
  if (alive) throw new Error(`${socket}: something listens there already`)
  rmSync(socket)
}
