import { expect, test } from '@jest/globals'
import { MappedUsers } from '../../../src/auth/mapped-users.ts'
import type { Caller, Connection, User, VirtualServer } from '../../../src/types.ts'
import { fakeCertificate, fakeConnection } from '../../support/fake-connection.ts'
import { ada, bob, caller } from './support.ts'

const letIn = (user: User) => ({ status: 'mapped', user, reason: 'a rule' }) as const
/** Now each certificate belongs to this user. */
const belongsTo = (user: User) => (): VirtualServer => ({
  ...caller().server,
  mapper: { name: 'rules', map: () => letIn(user) },
})
const connection = fakeConnection({ certificate: fakeCertificate(), verification: { result: 'SUCCESS' } })
/** Of another client, over the same connection of a load balancer. */
const client = fakeConnection({ ...connection, certificate: fakeCertificate({ subject: 'CN=eve' }) })
const on = (socket: object, by: Connection) => ({ ...caller(), connection: by, request: { socket } }) as Caller
const OF_ADA = 'the certificate does not belong to ada any more'

test('whoever was let in is objected to once the certificate is another’s, also after it was judged again', () => {
  const [users, socket] = [new MappedUsers(), {}]
  users.note(on(socket, connection), letIn(ada))
  for (const now of [connection, Object.freeze({ ...connection })]) {
    expect(users.objection(socket, now, belongsTo(ada))).toBeUndefined()
    expect(users.objection(socket, now, belongsTo(bob))).toBe(OF_ADA)
  }
  expect(users.objection({}, connection, belongsTo(bob))).toBeUndefined()
})

test('a load balancer’s connection is judged by its latest client, whoever came before, also after it was judged again', () => {
  const [users, socket] = [new MappedUsers(), {}]
  users.present(socket, client)
  users.note(on(socket, client), letIn(ada))
  for (const now of [connection, Object.freeze({ ...connection })])
    expect(users.objection(socket, now, belongsTo(bob))).toBe(OF_ADA)

  const nobody = fakeConnection()
  users.present(socket, nobody)
  expect(users.objection(socket, connection, belongsTo(bob))).toBeUndefined()
  users.present(socket, client)
  expect(users.objection(socket, connection, belongsTo(bob))).toBe(OF_ADA)
})

test('whoever was let in by the certificate alone is objected to once his user needs something besides', () => {
  const [users, socket] = [new MappedUsers(), {}]
  const needing = (...requires: string[]) => ({ ...letIn(ada), requires })
  const now = (mapping: ReturnType<typeof needing>) => (): VirtualServer => ({
    ...caller().server,
    mapper: { name: 'rules', map: () => mapping },
  })
  users.note(on(socket, connection), letIn(ada))
  expect(users.objection(socket, connection, now(needing('password')))).toBe('ada has to pass password as well by now')
  users.note(on(socket, connection), needing('password'))
  expect(users.objection(socket, connection, now(needing('password')))).toBeUndefined()
  expect(users.objection(socket, connection, now(needing()))).toBeUndefined()
})

test('a plugin that has to be asked for the user objects only where it names another', async () => {
  const [users, socket] = [new MappedUsers(), {}]
  const byPlugin = (user: User) => (): VirtualServer => ({
    ...caller().server,
    mapper: { name: 'plugin', map: async () => letIn(user) },
  })
  users.note(on(socket, connection), letIn(ada))
  expect(await users.objection(socket, connection, byPlugin(ada))).toBeUndefined()
  expect(await users.objection(socket, connection, byPlugin(bob))).toBe(OF_ADA)
})
