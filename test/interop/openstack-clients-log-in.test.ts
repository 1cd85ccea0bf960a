import { beforeAll, expect, jest, test } from '@jest/globals'
import { decodeBase32, totp } from '../../src/auth/methods/totp.ts'
import { temporaryFile } from '../support/folder.ts'
import type { Gateway } from '../support/gateway.ts'
import { CLOUD, identityService, TOTP_SECRET } from '../support/identity.ts'
import { keystoneauth, OPENSTACK_PEERS, openstack } from '../support/openstack.ts'
import { describeWith } from '../support/peers.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

/** Python takes seconds to load these clients, and much longer on a busy machine. */
jest.setTimeout(240_000)

describeWith(OPENSTACK_PEERS, 'real OpenStack clients', () => {
  let scene: Scene
  let gateway: Gateway
  let cacert: string
  let clientCert: string
  let clientKey: string
  /** What every client needs. */
  let usual: { url: string; verify: string; cert: string[] }

  beforeAll(async () => {
    scene = await makeScene()
    gateway = await scene.start({
      ...listenerOf(
        scene.server({ verify_and_map: true, authorization: { users: [{ user: 'ada', certificate: ['cn:ada'] }] } }),
      ),
      ...CLOUD,
      identity_api: { ...CLOUD.identity_api, trusted_issuers: ['CN=clients'] },
      auth: { methods: ['password', 'token', 'totp', 'application_credential', 'certificate'] },
      services: [identityService(['/identity'])],
    })
    cacert = temporaryFile('ca.pem', scene.servers.certificate)
    clientCert = temporaryFile('ada.pem', scene.ada.chain)
    clientKey = temporaryFile('ada.key', scene.ada.key)
    const url = `https://localhost:${gateway.port}/identity/v3`
    usual = { url, verify: cacert, cert: [clientCert, clientKey] }
  })

  const environment = (more: Record<string, string> = {}) => ({
    ...{ OS_AUTH_URL: usual.url, OS_CACERT: cacert, OS_USERNAME: 'ada', OS_PASSWORD: 'password of ada' },
    ...{ OS_USER_DOMAIN_ID: 'default', OS_PROJECT_NAME: 'demo', OS_PROJECT_DOMAIN_ID: 'default' },
    ...more,
  })

  test('openstack token issue gets a token, and openstack token revoke ends it', async () => {
    const issued = await openstack(['token', 'issue', '-f', 'json'], environment())
    expect(issued).toMatchObject({ status: 0 })
    const token = JSON.parse(issued.stdout) as Record<string, string>
    expect(token).toMatchObject({ user_id: 'u-ada', project_id: 'p-demo', id: expect.stringMatching(/^ey/) })
    const headers = { 'x-auth-token': token.id as string }
    expect((await gateway.get('/identity/v3/auth/projects', { headers })).status).toBe(200)
    expect(await openstack(['token', 'revoke', token.id as string], environment())).toMatchObject({ status: 0 })
    expect((await gateway.get('/identity/v3/auth/projects', { headers })).status).toBe(401)
  })

  test('openstack finds the API by its discovery, without /v3 in the address', async () => {
    const env = environment({ OS_AUTH_URL: `https://localhost:${gateway.port}/identity` })
    expect(await openstack(['token', 'issue', '-f', 'value', '-c', 'user_id'], env)).toMatchObject({
      ...{ status: 0, stdout: 'u-ada\n' },
    })
  })

  test('openstack project list shows the projects of the user', async () => {
    const listed = await openstack(['project', 'list', '-f', 'value', '-c', 'ID'], environment())
    expect(listed).toMatchObject({ status: 0, stdout: 'p-demo\n' })
  })

  test('a wrong password ends openstack with a sentence and 401', async () => {
    const { status, stderr } = await openstack(['token', 'issue'], environment({ OS_PASSWORD: 'wrong' }))
    expect(status).not.toBe(0)
    expect(stderr).toContain('The request you have made requires authentication. (HTTP 401)')
  })

  test('keystoneauth: v3.Password, then v3.Token for a narrower scope', async () => {
    const shown = await keystoneauth(
      `
s = session.Session(verify=given.verify)
password = v3.Password(given.url, username='ada', user_domain_id='default', password='password of ada', unscoped=True)
first = password.get_access(s)
token = v3.Token(given.url, first.auth_token, project_name='demo', project_domain_id='default')
second = token.get_access(s)
show({'user': first.user_id, 'scoped': [first.project_id, second.project_id], 'roles': second.role_names,
      'same end': str(first.expires) == str(second.expires), 'parent': second.audit_chain_id == first.audit_id,
      'endpoint': second.service_catalog.url_for(service_type='identity')})
`,
      usual,
    )
    expect(shown).toEqual({
      ...{ user: 'u-ada', scoped: [null, 'p-demo'], roles: ['member'], 'same end': true, parent: true },
      endpoint: usual.url,
    })
  })

  test('keystoneauth: v3.MultiFactor, and a receipt for what was missing', async () => {
    const shown = await keystoneauth(
      `
s = session.Session(verify=given.verify)
user = dict(username='carol', user_domain_id='default')
scope = dict(project_id='p-demo')
try:
    v3.Password(given.url, password='password of carol', **user, **scope).get_access(s)
    show('let in')
except exceptions.auth.MissingAuthMethods as missing:
    auth = v3.MultiFactor(given.url, auth_methods=['v3totp'], passcode=given.code, **user, **scope)
    auth.add_method(v3.ReceiptMethod(receipt=missing.receipt))
    access = auth.get_access(s)
    show({'done': missing.methods, 'required': missing.required_auth_methods, 'user': access.user_id,
          'methods': sorted(access._data['token']['methods'])})
`,
      { ...usual, code: code() },
    )
    expect(shown).toEqual({
      ...{ done: ['password'], required: [['password', 'totp']] },
      ...{ user: 'u-carol', methods: ['password', 'totp'] },
    })
  })

  test('keystoneauth: v3.TOTP, whose code counts once', async () => {
    const shown = await keystoneauth(
      `
s = session.Session(verify=given.verify)
def log_in():
    return v3.TOTP(given.url, username='ada', user_domain_id='default', passcode=given.code, project_id='p-demo').get_access(s)
access = log_in()
try:
    log_in()
    again = 'let in'
except exceptions.http.Unauthorized:
    again = 'refused'
show({'user': access.user_id, 'again': again})
`,
      { ...usual, code: code() },
    )
    expect(shown).toEqual({ user: 'u-ada', again: 'refused' })
  })

  test('keystoneauth: v3.ApplicationCredential, by id and by name, in its own project only', async () => {
    const shown = await keystoneauth(
      `
s = session.Session(verify=given.verify)
by_id = v3.ApplicationCredential(given.url, application_credential_secret='secret of the robot', application_credential_id='app-1')
by_name = v3.ApplicationCredential(given.url, application_credential_secret='secret of the robot', application_credential_name='robot',
                                   username='ada', user_domain_id='default')
found = [[a.user_id, a.project_id] for a in (by_id.get_access(s), by_name.get_access(s))]
try:
    v3.Token(given.url, by_id.get_token(s), unscoped=True).get_access(s)
    exchanged = 'let in'
except exceptions.http.Forbidden:
    exchanged = 'refused'
show({'found': found, 'exchanged': exchanged})
`,
      usual,
    )
    const robot = ['u-ada', 'p-demo']
    expect(shown).toEqual({ found: [robot, robot], exchanged: 'refused' })
  })

  test('keystoneauth: v3.TokenlessAuth with a client certificate, and nothing without', async () => {
    const shown = await keystoneauth(
      `
auth = v3.TokenlessAuth(given.url, project_name='demo', project_domain_name='Default')
with_certificate = session.Session(auth=auth, verify=given.verify, cert=tuple(given.cert))
user = with_certificate.get(given.url + '/users/u-ada').json()['user']['name']
projects = [p['id'] for p in with_certificate.get(given.url + '/auth/projects').json()['projects']]
without = session.Session(auth=auth, verify=given.verify).get(given.url + '/users/u-ada', raise_exc=False).status_code
show({'user': user, 'projects': projects, 'without': without})
`,
      usual,
    )
    expect(shown).toEqual({ user: 'ada', projects: ['p-demo'], without: 401 })
  })

  test('a token that keystoneauth got with a certificate is of no use without it', async () => {
    const shown = await keystoneauth(
      `
s = session.Session(verify=given.verify, cert=tuple(given.cert))
access = v3.Password(given.url, username='ada', user_domain_id='default', password='password of ada').get_access(s)
headers = {'X-Auth-Token': access.auth_token}
def status(session): return session.get(given.url + '/auth/projects', headers=headers, raise_exc=False).status_code
show([status(s), status(session.Session(verify=given.verify))])
`,
      usual,
    )
    expect(shown).toEqual([200, 401])
  })
})

/** The code of an authenticator app, now. */
function code(): string {
  return totp(decodeBase32(TOTP_SECRET) as Buffer, Math.floor(Date.now() / 30_000))
}
