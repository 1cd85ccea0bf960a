// A file that a configuration names may be anything by the time it is read: a start is refused, and whoever is served is served on.
import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdirSync, openSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import { type Gateway, refusedStart } from '../support/gateway.ts'
import { type GatewayConfig, listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let folder: string
/** Nobody writes there. */
let pipe: string
/** Somebody has opened it, who never writes. */
let silent: string
let writer: number
let loop: string
/** What is said of a start with it; it takes its time, and the others need not wait. */
let told: Promise<string>

beforeAll(async () => {
  scene = await makeScene()
  folder = temporaryFolder()
  pipe = join(folder, 'pipe')
  silent = join(folder, 'silent')
  loop = join(folder, 'loop.pem')
  execFileSync('mkfifo', [pipe, silent])
  writer = openSync(silent, constants.O_RDWR)
  symlinkSync('loop.pem', loop)
  told = refused(listenerOf(scene.server({ ssl_client_certificate: silent })))
})

afterAll(() => closeSync(writer))

const refused = async (config: GatewayConfig, env: Record<string, string> = {}) => {
  const { status, stderr } = await refusedStart({ config: scene.config(config), env })
  expect(status).toBe(1)
  return stderr
}

describe('a start is refused', () => {
  test.each(['/dev/zero', '/dev/full'])('where a variable names the endless %s', async (SECRET_CLIENT_KEY_FILE) => {
    const stderr = await refused({ proxy: {} }, { SECRET_CLIENT_KEY_FILE })
    expect(stderr).toContain(`SECRET_CLIENT_KEY_FILE: names ${SECRET_CLIENT_KEY_FILE}, which is no file`)
  })

  test.each(['ssl_client_certificate', 'ssl_crl', 'ssl_certificate_key'])(
    'where %s is a link to itself',
    async (setting) => {
      const stderr = await refused(listenerOf(scene.server({ [setting]: loop })))
      expect(stderr).toMatch(new RegExp(`\\.${setting}: names no readable file \\(looked for ${loop}`))
      expect(stderr).not.toContain('ELOOP')
    },
  )

  test('where a method plugin is a pipe', async () => {
    const stderr = await refused({ method_plugins: [{ name: 'own', module: pipe }] })
    expect(stderr).toContain(`module: names ${pipe}, which is no file`)
  })

  test('where users stand in a pipe', async () => {
    const users = { ssl_verify_client: 'on', verify_and_map: true, authorization: { users_file: pipe } }
    expect(await refused(listenerOf(scene.server(users)))).toContain(`users_file: names ${pipe}, which is no file`)
  })

  test('where an authority is a pipe whose writer is silent', async () => {
    expect(await told).toContain(`ssl_client_certificate: names ${silent}, a pipe that was not written within 5000 ms`)
  })
})

test('a list as base64, which is longer than any name of a file, revokes', async () => {
  const ssl_crl = Buffer.from(scene.clients.crl([scene.ada])).toString('base64')
  expect(ssl_crl.length).toBeGreaterThan(255)
  const gateway = await scene.start(listenerOf(scene.server({ ssl_crl, ssl_verify_client: 'on' })))
  expect((await gateway.get('/', { as: scene.ada })).status).toBe(400)
  expect((await gateway.get('/', { as: scene.clients.client('bob') })).status).toBe(200)
})

describe('a reload is refused, and who was served is served on', () => {
  let gateway: Gateway
  let authorities: string
  let lists: string

  beforeAll(async () => {
    authorities = temporaryFile('ca.pem', scene.clients.certificate)
    lists = join(temporaryFolder(), 'lists')
    mkdirSync(lists)
    writeFileSync(join(lists, 'ca.crl'), scene.clients.crl())
    gateway = await scene.start({
      ...listenerOf(scene.server({ ssl_client_certificate: authorities, ssl_crl: lists, ssl_verify_client: 'on' })),
      reload: { watch: false },
    })
  })

  const isServed = async () => expect((await gateway.get('/', { as: scene.ada })).status).toBe(200)

  test('where a pipe took the place of a file', async () => {
    renameSync(authorities, `${authorities}.kept`)
    execFileSync('mkfifo', [authorities])
    const line = await gateway.reload()
    expect(JSON.stringify(line)).toContain(`${authorities}, a pipe that was not written`)
    expect(line).toMatchObject({ level: 'error' })
    await isServed()
    renameSync(`${authorities}.kept`, authorities)
  })

  test('where a link to itself did', async () => {
    rmSync(lists, { recursive: true })
    symlinkSync(lists, lists)
    const line = await gateway.reload()
    expect(line).toMatchObject({ level: 'error' })
    expect(JSON.stringify(line)).toContain('ssl_crl: names no readable file')
    await isServed()
  })
})
