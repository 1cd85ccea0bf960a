import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { createExternalRights } from '../../../src/registry/external-rights.ts'
import type { Subject } from '../../../src/registry/rights.ts'
import { parseScope, type Resource } from '../../../src/registry/scope.ts'
import { whenFileEnds } from '../../support/cleanup.ts'
import { temporaryFolder } from '../../support/folder.ts'

const subject: Subject = {
  user: { id: 'ada', name: 'ada', groups: ['dev'], customId: undefined },
  certificate: undefined,
  address: '192.0.2.1',
  service: 'registry.test',
}
const resource = parseScope('repository:team/app:push') as Resource

async function program(answer: (question: unknown, response: ServerResponse) => void): Promise<string> {
  const socketPath = join(temporaryFolder(), 'program.sock')
  const server = createServer(async (request: IncomingMessage, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    answer(JSON.parse(text), response)
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  whenFileEnds(() => {
    server.closeAllConnections()
    server.close()
  })
  return socketPath
}

const judge = (socketPath: string, timeout = 2000) =>
  createExternalRights({ socketPath, timeout }).judge(subject, resource, 'v1')

describe('a program that decides', () => {
  test('gets the question in the words of docker_auth, and what it grants beyond it is dropped', async () => {
    let asked: unknown
    const path = await program((question, response) => {
      asked = question
      response.end('["pull","delete"]')
    })
    expect((await judge(path)).granted).toEqual(['pull'])
    expect(asked).toEqual({
      Account: 'ada',
      Type: 'repository',
      Name: 'team/app',
      Service: 'registry.test',
      IP: '192.0.2.1',
      Actions: ['pull', 'push'],
      Labels: { groups: ['dev'] },
      Tag: 'v1',
    })
  })

  test('may answer with a map', async () => {
    const path = await program((_question, response) => response.end('{"actions":["push","pull"]}'))
    expect((await judge(path)).granted).toEqual(['pull', 'push'])
  })
})

describe('what is no answer is neither a yes nor a no', () => {
  test.each([
    ['no JSON', (response: ServerResponse) => response.end('yes')],
    ['no list', (response: ServerResponse) => response.end('{"allow":true}')],
    ['a list of something else', (response: ServerResponse) => response.end('[true]')],
    ['another status', (response: ServerResponse) => response.writeHead(500).end('["pull"]')],
    ['too much', (response: ServerResponse) => response.end(`["pull"${' '.repeat(70_000)}]`)],
    ['a connection that ends', (response: ServerResponse) => response.destroy()],
  ])('%s', async (_what, answer) => {
    const path = await program((_question, response) => answer(response))
    await expect(judge(path)).rejects.toMatchObject({ code: 'GW_UNDECIDED' })
  })

  test('nothing in time', async () => {
    const path = await program(() => {})
    await expect(judge(path, 50)).rejects.toMatchObject({
      code: 'GW_UNDECIDED',
      detail: expect.stringContaining('50 ms'),
    })
  })

  test('nobody there', async () => {
    await expect(judge(join(temporaryFolder(), 'nobody.sock'))).rejects.toMatchObject({ code: 'GW_UNDECIDED' })
  })
})
