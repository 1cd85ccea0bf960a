/** A plugin as Docker's hosts meet it: an HTTP server on a Unix socket that answers `POST /Service.Method`. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { whenFileEnds } from './cleanup.ts'
import { temporaryFolder } from './folder.ts'

export interface PluginCall {
  readonly method: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** What one method answers: an object with status 200, or whatever the function does. */
export type PluginAnswer = object | ((body: string, response: ServerResponse) => void)

export interface FakePlugin {
  readonly folder: string
  readonly socket: string
  readonly calls: PluginCall[]
  answers: Record<string, PluginAnswer>
  stop(): Promise<void>
}

/** Listens on `NAME.sock` in a folder of its own, or in the given one. */
export async function startPlugin(
  name: string,
  answers: Record<string, PluginAnswer>,
  folder = temporaryFolder(),
): Promise<FakePlugin> {
  const socket = join(folder, `${name}.sock`)
  const calls: PluginCall[] = []
  const plugin = { folder, socket, calls, answers, stop: () => closed(server) }
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const method = (request.url ?? '').slice(1)
      calls.push({ method, headers: request.headers, body })
      const answer = plugin.answers[method]
      if (typeof answer === 'function') answer(body, response)
      else response.writeHead(answer ? 200 : 404).end(answer ? JSON.stringify(answer) : 'no such method')
    })
  })
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  whenFileEnds(() => closed(server))
  return plugin
}

function closed(server: Server): Promise<void> {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(() => resolve()))
}
