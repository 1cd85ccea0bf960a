import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  const { url } = scene.backend
  gateway = await scene.start({
    services: [
      { name: 'admin', url: `${url}/private`, routes: [{ name: 'admin', paths: ['/admin'] }] },
      { name: 'open', url: `${url}/open`, routes: [{ name: 'open', paths: ['/'], strip_path: false }] },
      {
        name: 'shop',
        url: `${url}/shop`,
        routes: [
          { name: 'shop', paths: ['/shop'] },
          { name: 'staff', paths: ['/shop/staff', '~/shop/\\d+/edit$'], ssl_verify_client: 'on' },
          { name: 'matrix', paths: ['/shop/staff;public'] },
          { name: 'cart', paths: ['~/shop/cart$'] },
        ],
      },
    ],
  })
})

beforeEach(() => scene.backend.reset())

/** The answer's status, and where the request arrived. */
async function outcome(target: string): Promise<[status: number | undefined, target: string | undefined]> {
  const [answer] = await gateway.talk(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
  return [answer?.status, scene.backend.seen[0]?.target]
}

test.each([
  ['/admin', '/private'],
  ['/admin?x', '/private?x'],
  ['/admin/', '/private/'],
  ['/admin/a/b', '/private/a/b'],
  ['/%61dmin', '/private'],
  ['/%61%64%6D%69n/x', '/private/x'],
  ['//admin', '/private'],
  ['///admin//x', '/private/x'],
  ['/admin/%7Euser', '/private/~user'],
  ['/admin?next=/../x', '/private?next=/../x'],
  ['/admin?a=%2F%00', '/private?a=%2F%00'],
])('%s is the route of /admin and arrives as %s', async (target, arrived) => {
  expect(await outcome(target)).toEqual([200, arrived])
})

test.each([
  ['/ADMIN', '/open/ADMIN'],
  ['/other', '/open/other'],
  ['/other%20x', '/open/other%20x'],
  ['/%c3%a9', '/open/%C3%A9'],
  ['/%2525', '/open/%2525'],
  ['/%2561dmin', '/open/%2561dmin'],
  ['/%c0%afadmin', '/open/%C0%AFadmin'],
  ['/x;a=b/c', '/open/x;a=b/c'],
  ['/...', '/open/...'],
  ['/.well-known/x', '/open/.well-known/x'],
  ['/', '/open'],
  ['/?', '/open?'],
])('%s is not, and arrives as %s', async (target, arrived) => {
  expect(await outcome(target)).toEqual([200, arrived])
})

test.each([
  '/x/../admin',
  '/x/./admin',
  '/..',
  '/.',
  '/x/%2e%2e/admin',
  '/x/%2E./admin',
  '/x/.%2e/admin',
  '/x/..%2fadmin',
  '/x/..%5cadmin',
  '/admin%2f',
  '/admin%2F..',
  '/admin%5c',
  '/admin%00',
  '/admin%0d%0ax',
  '/admin%7f',
  '/admin\\',
  '\\admin',
  '/x\\..\\admin',
  '/admin#x',
  '/..;/admin',
  '/x/..;a=b/admin',
  '/%',
  '/%zz',
  '/%2',
  '/\xe9',
  '/a\x7fb',
])('%j is refused', async (target) => {
  expect(await outcome(target)).toEqual([400, undefined])
})

test('/admin;a=b is either the route of /admin or not there at all, never the open route', async () => {
  const [, arrived] = await outcome('/admin;a=b')
  expect(arrived ?? '/private').toMatch(/^\/private/)
})

test.each([
  '/shop;x/staff',
  '/shop/;x/staff',
  '/shop;/staff;/a',
  '/shop/7;v=1/edit',
  '/shop/7/edit;v=1',
  '/;/shop;x=%2e/staff',
])('%s is refused: servlet containers read it as a path of a route that demands a certificate', async (target) => {
  expect(await outcome(target)).toEqual([400, undefined])
  await gateway.logged({
    code: 'GW_BAD_PATH',
    detail: 'without its parameters the path is one of the route staff',
    path: target,
  })
})

test.each([
  ['/shop/staff;x', 400, undefined],
  ['/shop/staff;public/a', 200, '/shop/a'],
  ['/shop/cart;jsessionid=1', 200, '/shop/cart;jsessionid=1'],
  ['/shop;jsessionid=1', 200, '/shop/;jsessionid=1'],
  ['/shop/a;b/c', 200, '/shop/a;b/c'],
])('%s keeps its parameters: %s', async (target, status, arrived) => {
  expect(await outcome(target)).toEqual([status, arrived])
})
