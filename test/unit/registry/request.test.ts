import { describe, expect, test } from '@jest/globals'
import { readRequest } from '../../../src/registry/request.ts'
import { scopeText } from '../../../src/registry/scope.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`
const UUID = 'c6a1b1de-3cde-4c1b-a7a7-6d2f7a3a4b0e'

describe('what a request is about', () => {
  test.each([
    ['GET /v2/', [], ''],
    ['HEAD /v2', [], ''],
    ['GET /v2/_catalog?n=10&last=a', ['registry:catalog:*'], ''],
    ['GET /v2/team/app/tags/list', ['repository:team/app:pull'], ''],
    ['GET /v2/app/manifests/latest', ['repository:app:pull'], 'latest'],
    ['HEAD /v2/team/app/manifests/v1.0', ['repository:team/app:pull'], 'v1.0'],
    [`GET /v2/team/app/manifests/${DIGEST}`, ['repository:team/app:pull'], ''],
    ['PUT /v2/team/app/manifests/v1', ['repository:team/app:pull,push'], 'v1'],
    [`DELETE /v2/team/app/manifests/${DIGEST}`, ['repository:team/app:delete'], ''],
    [`GET /v2/team/app/blobs/${DIGEST}`, ['repository:team/app:pull'], ''],
    [`DELETE /v2/team/app/blobs/${DIGEST}`, ['repository:team/app:delete'], ''],
    [`GET /v2/team/app/referrers/${DIGEST}?artifactType=x`, ['repository:team/app:pull'], ''],
    ['POST /v2/team/app/blobs/uploads/', ['repository:team/app:pull,push'], ''],
    [`POST /v2/a/blobs/uploads/?digest=${DIGEST}`, ['repository:a:pull,push'], ''],
    [
      `POST /v2/a/blobs/uploads/?mount=${DIGEST}&from=team%2Fb`,
      ['repository:a:pull,push', 'repository:team/b:pull'],
      '',
    ],
    [`POST /v2/a/blobs/uploads/?mount=${DIGEST}`, ['repository:a:pull,push'], ''],
    [`PATCH /v2/a/blobs/uploads/${UUID}?_state=abc-_%3D`, ['repository:a:pull,push'], ''],
    [`PUT /v2/a/blobs/uploads/${UUID}?_state=x&digest=${DIGEST}`, ['repository:a:pull,push'], ''],
    [`GET /v2/a/blobs/uploads/${UUID}`, ['repository:a:pull,push'], ''],
    // Repositories may be called like parts of the protocol: what stands last decides.
    ['GET /v2/blobs/uploads/tags/list', ['repository:blobs/uploads:pull'], ''],
    ['POST /v2/x/blobs/uploads/blobs/uploads/', ['repository:x/blobs/uploads:pull,push'], ''],
    ['GET /v2/a/manifests/manifests/latest', ['repository:a/manifests:pull'], 'latest'],
  ])('%s', (line, access, tag) => {
    const [method = '', target = ''] = line.split(' ')
    const [path = '', query = ''] = target.split('?')
    const read = readRequest(method, path, query)
    expect(read?.access.map(scopeText)).toEqual(access)
    expect(read?.tag).toBe(tag)
  })

  test('who may push may give up an upload; the registry calls that delete', () => {
    const read = readRequest('DELETE', `/v2/a/blobs/uploads/${UUID}`, '')
    expect(read?.access.map(scopeText)).toEqual(['repository:a:pull,push'])
    expect(read?.token.map(scopeText)).toEqual(['repository:a:delete'])
  })
})

describe('what is no request to a registry is not judged, and so not let through', () => {
  test.each([
    'GET /',
    'GET /v1/',
    'POST /v2/',
    'GET /v2/_catalog/',
    'DELETE /v2/_catalog',
    'GET /v2/Team/app/tags/list',
    'GET /v2/team//app/tags/list',
    'GET /v2/team/../app/tags/list',
    'GET /v2/-team/tags/list',
    'GET /v2/team%2Fapp/tags/list',
    'GET /v2/team/app/tags/other',
    'POST /v2/team/app/tags/list',
    'GET /v2/team/app/manifests/',
    `GET /v2/team/app/manifests/${'x'.repeat(129)}`,
    'GET /v2/team/app/manifests/sha256:zz',
    'GET /v2/team/app/manifests/a%2Fb',
    'PUT /v2/team/app/manifests/latest?tag=v1',
    'PATCH /v2/team/app/manifests/latest',
    'GET /v2/team/app/blobs/latest',
    `PUT /v2/team/app/blobs/${DIGEST}`,
    'GET /v2/team/app/blobs/uploads/',
    `PATCH /v2/a/blobs/uploads/${UUID}:x`,
    `POST /v2/a/blobs/uploads/${UUID}`,
    `POST /v2/a/blobs/uploads/?mount=${DIGEST}&from=b&from=secret`,
    `POST /v2/a/blobs/uploads/?mount=${DIGEST}&from=b;from=secret`,
    `POST /v2/a/blobs/uploads/?mount=${DIGEST}&from=%zz`,
    `POST /v2/a/blobs/uploads/?mount=${DIGEST}&from=../secret`,
    `GET /v2/${'a/'.repeat(200)}b/tags/list`,
    'GET /v2/team/app',
    'GET /v2/team/app/debug/vars',
  ])('%s', (line) => {
    const [method = '', target = ''] = line.split(' ')
    const [path = '', query = ''] = target.split('?')
    expect(readRequest(method, path, query)).toBeUndefined()
  })
})
